"""The version of azsim, in this one place: the package, the distribution and every result read it here."""

__version__ = "0.1.0"
