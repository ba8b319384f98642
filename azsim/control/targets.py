"""Instances that come and go as targets of a balancer (D69): all that has to know of it is told at once."""

from __future__ import annotations

from collections.abc import Callable

from azsim.control.health import HealthChecker
from azsim.control.router import Router


class Targets:
    """The targets of one service. `checker` and `router` are None where health is not checked."""

    def __init__(
        self,
        set_member: Callable[[int, bool], None],
        set_probing: Callable[[int, bool], None],
        checker: HealthChecker | None,
        router: Router | None,
    ) -> None:
        self._set_member = set_member
        self._set_probing = set_probing
        self._checker = checker
        self._router = router

    def add(self, instance: int) -> None:
        """A new target: out of rotation until it passes its first probe, where there are probes."""
        if self._checker is not None and self._router is not None:
            self._checker.add(instance)
            self._router.add(instance)
        self._set_probing(instance, True)
        self._set_member(instance, True)

    def remove(self, instance: int, *, unwell: bool) -> None:
        """No target any more: it gets no new requests, and is not probed. An unwell one leaves rotation first, for that
        is what has been noticed.
        """
        if unwell and self._router is not None:
            self._router.take_out(instance)
        self._set_member(instance, False)
        self._set_probing(instance, False)
        if self._checker is not None and self._router is not None:
            self._checker.remove(instance)
            self._router.remove(instance)
