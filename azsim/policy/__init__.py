"""Pure scalar rules of the simulated world: the same lines run in the reference and, compiled, in the kernel."""
