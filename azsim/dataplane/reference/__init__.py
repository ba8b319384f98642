"""The readable twin of the kernel: the rules of docs/model.md as SimPy processes and plain objects.

Read it in this order: clock, network, cpu, instance, balancer, guard, hop, call, population, prober, engine.
"""

from azsim.dataplane.reference.engine import Reference

__all__ = ["Reference"]
