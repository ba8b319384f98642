"""Packets between callers and instances: what travels, how long, and what gets lost (D5-D7, D11, D13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from azsim.base.seeds import LOSS_BACK, LOSS_CANCEL, LOSS_THERE, key_hash
from azsim.dataplane.codes import INFINITE, InstanceState, Kind, Outcome
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.ledger import Ledger
from azsim.policy.distributions import unit
from azsim.policy.faults import either

Action = Callable[[], None]  # what happens at an event


class Sender(Protocol):
    """Who sends dispatches and gets their answers: a call, or the prober of a target."""

    def lost(self, dispatch: Dispatch) -> None:
        """The dispatch was lost on its way; nobody is told, but a connect timeout may stand now (D6)."""

    def awaits(self, dispatch: Dispatch) -> bool:
        """Whether an answer to this dispatch still finds somebody."""

    def answered(self, dispatch: Dispatch, outcome: Outcome) -> None:
        """The answer to an awaited dispatch is here (D12)."""

    @property
    def host(self) -> Host | None:
        """The instance on which the sender runs, None for clients and probers."""


class Host(Protocol):
    """An instance, as the network and its callers see it."""

    number: int
    service: int
    zone: int
    latency_ns: int
    loss: float

    @property
    def paused(self) -> bool:
        """Whether its process is stopped."""

    def receive(self, dispatch: Dispatch) -> bool:
        """Take a dispatch in (D7); False: it is lost."""

    def cancel(self, dispatch: Dispatch) -> None:
        """Drop the job of a dispatch, if it is there (D13)."""

    def park(self, kind: Kind, key: Key, act: Action) -> None:
        """Let an event of the instance's own calls wait for the end of the pause (D17)."""


@dataclass(slots=True, eq=False)
class Dispatch:
    """One attempt (or probe) on its way to one target, and all that the target's side knows of it (D1, D5)."""

    key: Key
    sender: Sender
    target: Host
    place: int  # where the sender is
    expiry_ns: int
    is_probe: bool = False
    by_ns: int = INFINITE  # when the calls made for it must have ended (R7)
    operation: int = -1  # what is asked for: a row of Plan.operations, -1 the target's own
    via: int | None = None  # zone of the balancer's node between them, where that may be lost (D111)
    delay_ns: int = 0
    handshake_trips: int = 0  # round trips before it, if its connection is new,
    handshake_ns: int = 0  # and work at the target
    degraded: bool = False  # written by the target: an optional call failed


class Network:
    """Delays and cut links between places (zones, and outside as the last)."""

    def __init__(self, plan: Plan, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger
        self._delay_ns: list[list[int]] = plan.delay_ns.tolist()
        places = len(plan.zones) + 1
        self._cut = [[False] * places for _ in range(places)]
        self._loss = [[0.0] * places for _ in range(places)]
        self._run_key = plan.key
        self.nodes = [InstanceState.UP] * len(plan.zones)  # of zonal balancers

    def set_link(self, place_a: int, place_b: int, cut: bool) -> None:
        """Cut or mend a link, both ways."""
        self._cut[place_a][place_b] = self._cut[place_b][place_a] = cut

    def set_loss(self, place_a: int, place_b: int, share: float) -> None:
        """The share of a link's packets that get lost, both ways."""
        self._loss[place_a][place_b] = self._loss[place_b][place_a] = share

    def _loses(self, dispatch: Dispatch, purpose: int) -> bool:
        """Whether a packet of a dispatch gets lost; drawn at its send (D50)."""
        lossy = [self._loss[place][other] for place, other in self._legs(dispatch)]
        share = either(reduce(either, lossy), dispatch.target.loss)
        return share > 0.0 and unit(key_hash(self._run_key, *dispatch.key, purpose)) < share

    def _legs(self, dispatch: Dispatch) -> list[tuple[int, int]]:
        """The links between a dispatch's sender and its target."""
        via, zone = dispatch.via, dispatch.target.zone
        return [(dispatch.place, zone)] if via is None else [(dispatch.place, via), (via, zone)]

    def _is_cut(self, dispatch: Dispatch) -> bool:
        """Whether nothing gets through between a dispatch's sender and its target."""
        node_lost = dispatch.via is not None and self.nodes[dispatch.via] is not InstanceState.UP
        return node_lost or any(self._cut[place][other] for place, other in self._legs(dispatch))

    def _travels_ns(self, dispatch: Dispatch) -> int:
        return sum(self._delay_ns[place][other] for place, other in self._legs(dispatch))

    def reaches(self, place: int, zone: int, connect_timeout_ns: int) -> bool:
        """Whether a client can connect to the nodes in a zone, or is refused at least."""
        connects = not self._cut[place][zone] and self._delay_ns[place][zone] <= connect_timeout_ns
        return connects and self.nodes[zone] is not InstanceState.DEAD

    def send(self, dispatch: Dispatch, connect_timeout_ns: int) -> None:
        """Put a dispatch on its way (D5)."""
        back_ns = self._travels_ns(dispatch)
        dispatch.delay_ns = there_ns = back_ns + dispatch.target.latency_ns
        dispatch.delay_ns += dispatch.handshake_trips * (there_ns + back_ns)
        too_long = dispatch.via is None and dispatch.delay_ns > connect_timeout_ns
        if self._is_cut(dispatch) or too_long or self._loses(dispatch, LOSS_THERE):
            dispatch.sender.lost(dispatch)
            return
        arrival_ns = self._clock.now_ns + dispatch.delay_ns
        self._clock.at(arrival_ns, Kind.DELIVERY, dispatch.key, lambda: self._deliver(dispatch))

    def _deliver(self, dispatch: Dispatch) -> None:
        if self._is_cut(dispatch) or not dispatch.target.receive(dispatch):
            dispatch.sender.lost(dispatch)

    def answer(self, dispatch: Dispatch, outcome: Outcome, cpu: int = 0) -> None:
        """Send the answer to a dispatch (D11); `cpu`: what its job has used."""
        service = dispatch.target.service
        lost = self._is_cut(dispatch) or self._loses(dispatch, LOSS_BACK)
        if lost or outcome is not Outcome.OK:
            self._ledger.settle(service, cpu, useful=False)  # D24
            cpu = 0
        if not lost:
            arrival_ns = self._clock.now_ns + self._travels_ns(dispatch)
            self._clock.at(
                arrival_ns, Kind.RESPONSE, dispatch.key, lambda: self._answer_arrives(dispatch, outcome, cpu)
            )

    def _answer_arrives(self, dispatch: Dispatch, outcome: Outcome, cpu: int) -> None:
        sender, service = dispatch.sender, dispatch.target.service
        if self._is_cut(dispatch) or not sender.awaits(dispatch):
            self._ledger.settle(service, cpu, useful=False)
        elif sender.host is not None and sender.host.paused:
            sender.host.park(Kind.RESPONSE, dispatch.key, lambda: self._answer_arrives(dispatch, outcome, cpu))  # D25
        else:
            self._ledger.settle(service, cpu, useful=True)
            sender.answered(dispatch, outcome)

    def cancel(self, dispatch: Dispatch) -> None:
        """Send a cancel after a dispatch, as long under way as that was (D13)."""
        if not self._is_cut(dispatch) and not self._loses(dispatch, LOSS_CANCEL):
            arrival_ns = self._clock.now_ns + dispatch.delay_ns
            self._clock.at(arrival_ns, Kind.CANCEL, dispatch.key, lambda: self._cancel_arrives(dispatch))

    def _cancel_arrives(self, dispatch: Dispatch) -> None:
        if not self._is_cut(dispatch):
            dispatch.target.cancel(dispatch)
