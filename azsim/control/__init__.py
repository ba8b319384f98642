"""The control plane: controllers that sense the data plane and act on it."""
