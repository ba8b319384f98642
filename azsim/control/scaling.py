"""A scaling group (S1): keeps as many instances as desired, and hears from its alarms how many that should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from azsim.base.errors import InternalError
from azsim.control.alarms import Alert
from azsim.control.launches import Launches, Machines, Refused, Running
from azsim.control.loop import Controller, World
from azsim.control.policies import Cooldown, Model, policy
from azsim.control.specs import GroupSpec
from azsim.control.targets import Targets
from azsim.policy.scaling import within, zone_to_launch, zone_to_shrink


class Drained(NamedTuple):
    """An instance has had its time to finish what it held."""

    instance: int


class Again(NamedTuple):
    """It is time to ask once more for what was refused."""


class Launch(NamedTuple):
    """Order an instance."""

    zone: int


class Enlist(NamedTuple):
    """Make an instance that runs a target."""

    instance: int


class Dismiss(NamedTuple):
    """Let an instance finish what it holds, then stop it."""

    instance: int


class Stop(NamedTuple):
    """Stop an instance."""

    instance: int


Reading = Alert | Running | Refused | Drained | Again
Action = Launch | Enlist | Dismiss | Stop


class Stage(Enum):
    """How far an instance is on its way, as the group believes."""

    STARTED = 0  # it runs, and is not a target yet
    IN_SERVICE = 1
    LEAVING = 2
    DONE = 3  # drained


@dataclass(slots=True)
class Member:
    """An instance of a group."""

    zone: int
    since_ns: int  # it is in service
    stage: Stage = Stage.IN_SERVICE
    warms: bool = False  # it was launched during the run


class Group(Controller[Reading, Action]):
    """The instances of a service in some zones. `names` are those of all instances, `zone_names` of all zones."""

    def __init__(
        self,
        world: World,
        spec: GroupSpec,
        *,
        launches: Launches,
        machines: Machines,
        targets: Targets,
        names: Sequence[str],
        zone_names: Sequence[str],
    ) -> None:
        super().__init__(f"scaling.{spec.name}", world)
        self.spec = spec
        self.desired = spec.desired
        self.desired_log: list[tuple[int, int, str]] = [(0, spec.desired, "at first")]
        self.refusals: list[tuple[int, int]] = []  # (t_ns, zone)
        self._launches = launches
        self._machines = machines
        self._targets = targets
        self._names = names
        self._zone_names = zone_names
        self._members: dict[int, Member] = {}
        self._orders: dict[int, int] = {}  # zones of orders under way
        self._refusing: set[int] = set()  # zones that have refused since an order last succeeded, or the wait began
        self._waits = False  # for `retry`, all zones having refused
        cooldown = Cooldown()
        self._policies = [policy(one, cooldown) for one in spec.policies]
        for zone, count in spec.initial:
            for instance in launches.take(zone, count):
                self._members[instance] = Member(zone, 0)

    @property
    def instances(self) -> list[int]:
        """Those that run, as the group believes."""
        return sorted(self._members)

    def hear(self, alert: Alert) -> None:
        """Be told what an alarm says, at this controller's turn in this instant."""
        self.world.post(0, self.name, -2, self.receive, alert)

    def warming(self) -> Collection[int]:
        """Instances that still warm up; telemetry leaves them out."""
        return [i for i, member in self._members.items() if self._is_warming(member)]

    def _is_warming(self, member: Member) -> bool:
        return member.warms and self.world.now_ns < member.since_ns + self.spec.launch.warmup_ns

    @property
    def model(self) -> Model:
        """What the group believes of itself."""
        stages = Counter(member.stage for member in self._members.values())
        return Model(
            now_ns=self.world.now_ns,
            desired=self.desired,
            in_service=stages[Stage.STARTED] + stages[Stage.IN_SERVICE],
            warming=len(self.warming()),
            pending=len(self._orders),
            leaving=stages[Stage.LEAVING],
        )

    def sense(self, reading: Reading) -> None:
        """Take in what alarms, launches and time have brought."""
        match reading:
            case Alert():
                self._consider(reading)
            case Running():
                zone = self._orders.pop(reading.order)
                self._members[reading.instance] = Member(zone, self.world.now_ns, Stage.STARTED, warms=True)
                self._refusing.clear()
                self._settle()
            case Refused():
                zone = self._orders.pop(reading.order)
                self._refusing.add(zone)
                self.refusals.append((self.world.now_ns, zone))
                self.world.log(self.name, f"zone {self._zone_names[zone]} has no capacity for an instance")
            case Drained():
                self._members[reading.instance].stage = Stage.DONE
                self._settle()
            case Again():
                self._waits = False
                self._refusing.clear()

    def _settle(self) -> None:
        """The last of what was under way is done."""
        model = self.model
        if not model.pending and not model.leaving:
            for one in self._policies:
                one.settled(self.world.now_ns)

    def _consider(self, alert: Alert) -> None:
        for one in self._policies:
            wanted = one.answer(alert, self.model)
            if wanted is not None and self._want(wanted, alert.alarm):
                one.followed(self.world.now_ns)

    def _want(self, wanted: int, why: str) -> bool:
        """Desire another number of instances, as far as the bounds allow; whether that is news."""
        allowed = within(wanted, self.spec.least, self.spec.most)
        if allowed == self.desired:
            return False
        self.world.log(self.name, f"{self.desired} instances desired, now {allowed} ({why})")
        self.desired = allowed
        self.desired_log.append((self.world.now_ns, allowed, why))
        return True

    def decide(self) -> Iterable[Action]:
        """Bring what runs in line with what is desired."""
        done = [Stop(i) for i, member in self._members.items() if member.stage is Stage.DONE]
        started = [Enlist(i) for i, member in self._members.items() if member.stage is Stage.STARTED]
        return [*done, *started, *self._corrections()]

    def _corrections(self) -> Iterable[Launch | Dismiss]:
        """Launches where too few instances are there or ordered, dismissals where too many are."""
        present = [member for member in self._members.values() if member.stage in (Stage.STARTED, Stage.IN_SERVICE)]
        counts = Counter(member.zone for member in present) + Counter(self._orders.values())
        missing = self.desired - counts.total()
        if missing > 0 and not self._waits:
            return self._launches_for(missing, counts)
        if missing < 0:
            return self._dismissals(-missing, counts)
        return []

    def _launches_for(self, missing: int, counts: Counter[int]) -> Iterable[Launch]:
        asked = self.spec.zones if self.spec.launch.balanced_only else self._willing()
        if (self.spec.launch.balanced_only and self._refusing) or not asked:
            self._wait()
            return []
        found = []
        for _ in range(missing):
            zone = zone_to_launch(counts, asked)
            counts[zone] += 1
            found.append(Launch(zone))
        return found

    def _willing(self) -> tuple[int, ...]:
        return tuple(zone for zone in self.spec.zones if zone not in self._refusing)

    def _wait(self) -> None:
        """Ask again after a while."""
        self._waits = True
        self.world.post(self.spec.launch.retry_ns, self.name, -1, self.receive, Again())

    def _dismissals(self, excess: int, counts: Counter[int]) -> Iterable[Dismiss]:
        """Zone by zone from the fullest; in a zone the newest goes first."""
        found: list[Dismiss] = []
        for _ in range(excess):
            zone = zone_to_shrink(counts, self.spec.zones)
            counts[zone] -= 1
            gone = {one.instance for one in found}
            candidates = [
                (member.since_ns, i)
                for i, member in self._members.items()
                if member.zone == zone and member.stage is Stage.IN_SERVICE and i not in gone
            ]
            if candidates:
                found.append(Dismiss(max(candidates)[1]))
        return found

    def act(self, action: Action) -> None:
        """Launch, enlist, dismiss or stop."""
        match action:
            case Launch():
                self._orders[self._launches.order(action.zone)] = action.zone
            case Enlist():
                self._members[action.instance].stage = Stage.IN_SERVICE
                self._members[action.instance].since_ns = self.world.now_ns
                self._targets.add(action.instance)
                self.world.log(self.name, f"{self._names[action.instance]} runs")
            case Dismiss():
                self._members[action.instance].stage = Stage.LEAVING
                self._targets.remove(action.instance)
                self.world.log(self.name, f"{self._names[action.instance]} is taken out")
                self.world.post(self.spec.drain_ns, self.name, action.instance, self.receive, Drained(action.instance))
            case Stop():
                member = self._members.pop(action.instance)
                self._machines.stop(action.instance)
                self._launches.give_back(action.instance, member.zone)

    def check(self, existing: Collection[int]) -> None:
        """C4: the group has what exists, and desires what its bounds allow; raises InternalError."""
        if sorted(existing) != self.instances:
            raise InternalError(f"{self.name} believes in {self.instances}, there are {sorted(existing)}")
        if not self.spec.least <= self.desired <= self.spec.most:
            raise InternalError(f"{self.name} desires {self.desired} of {self.spec.least} to {self.spec.most}")
