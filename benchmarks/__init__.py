"""How fast azsim is, measured beside SimPy and a C event loop that simulate the same world."""
