"""A scaling group (S1): keeps as many instances as desired, and hears from its alarms how many that should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from azsim.base.errors import InternalError
from azsim.control.alarms import Alert
from azsim.control.launches import Launches, Machines, Refused, Running
from azsim.control.loop import Controller, World
from azsim.control.members import Checked, Members, Stage
from azsim.control.policies import Model, policies
from azsim.control.router import Verdict
from azsim.control.specs import GroupSpec, ScheduleSpec
from azsim.control.targets import Targets
from azsim.policy.scaling import within, zone_to_launch, zone_to_shrink


class Drained(NamedTuple):
    """An instance has had its time to finish what it held."""

    instance: int


class Again(NamedTuple):
    """It is time to ask once more for what was refused."""


class Avoid(NamedTuple):
    """A zone is shifted away, or back: nothing is launched there meanwhile, and nothing is scaled in."""

    zone: int
    away: bool


class Launch(NamedTuple):
    """Order an instance; `extra`: beyond what is desired, to balance the zones."""

    zone: int
    extra: bool = False


class Enlist(NamedTuple):
    """Make an instance that runs a target."""

    instance: int


class Dismiss(NamedTuple):
    """Let an instance finish what it holds, then stop it; `replaced`: because it is unwell."""

    instance: int
    replaced: bool = False


class Stop(NamedTuple):
    """Stop an instance."""

    instance: int


Reading = Alert | ScheduleSpec | Running | Refused | Drained | Again | Checked | Verdict | Avoid
Action = Launch | Enlist | Dismiss | Stop


class Group(Controller[Reading, Action]):
    """The instances of a service in some zones. `names` are those of all instances, `zone_names` of all zones."""

    def __init__(
        self,
        world: World,
        spec: GroupSpec,
        *,
        key: int,
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
        self.members = Members(world, spec, key)
        self._orders: dict[int, Launch] = {}  # under way
        self._refusing: set[int] = set()  # zones that have refused since an order last succeeded, or the wait began
        self._refused: set[int] = set()  # zones whose last answer was a refusal
        self._waits = False  # for `retry`, all zones having refused
        self._avoided: set[int] = set()  # zones that are shifted away
        self._policies = policies(spec.policies)
        self._least, self._most = spec.least, spec.most
        for number, one in enumerate(spec.policies):
            if isinstance(one, ScheduleSpec):
                world.post(one.at_ns, self.name, number, self.receive, one)
        for zone, count in spec.initial:
            for instance in launches.take(zone, count):
                self.members.begin(instance, zone)

    def hear(self, reading: Alert | Checked | Avoid) -> None:
        """Be told what an alarm says, how instances are, or of a shift, at this controller's turn in this instant."""
        self.world.post(0, self.name, -2, self.receive, reading)

    def hear_view(self, verdict: Verdict) -> None:
        """Be told of a change of the router's view."""
        self.world.post(0, self.name, verdict.instance, self.receive, verdict)

    @property
    def model(self) -> Model:
        """What the group believes of itself."""
        stages = self.members.stages
        return Model(
            now_ns=self.world.now_ns,
            desired=self.desired,
            in_service=stages[Stage.STARTED] + stages[Stage.IN_SERVICE],
            warming=len(self.members.warming()),
            pending=len(self._orders),
            leaving=stages[Stage.LEAVING],
        )

    def sense(self, reading: Reading) -> None:
        """Take in what alarms, checks, launches and time have brought."""
        match reading:
            case Alert():
                self._consider(reading)
            case ScheduleSpec():
                self._reschedule(reading)
            case Running():
                zone = self._orders.pop(reading.order).zone
                self._refused.discard(zone)
                self.members.started(reading.instance, zone)
                self._refusing.clear()
                self._settle()
            case Refused():
                zone, extra = self._orders.pop(reading.order)
                self.refusals.append((self.world.now_ns, zone))
                if zone not in self._refused:
                    self.world.log(self.name, f"zone {self._zone_names[zone]} has no capacity for new instances")
                self._refusing.add(zone)
                self._refused.add(zone)
                if extra and not self._waits:
                    self._wait()
            case Drained():
                self.members.done(reading.instance)
                self._settle()
            case Again():
                self._waits = False
                self._refusing.clear()
            case Checked():
                self.members.check(reading, self.desired, self.model.pending, self._avoided)
            case Verdict():
                self.members.view(reading)
            case Avoid():
                (self._avoided.add if reading.away else self._avoided.discard)(reading.zone)

    def _settle(self) -> None:
        """The last of what was under way is done."""
        if not self._orders and not self.members.at(Stage.LEAVING):
            for one in self._policies:
                one.settled(self.world.now_ns)

    def _consider(self, alert: Alert) -> None:
        for one in self._policies:
            wanted = one.answer(alert, self.model)
            if wanted is None or (wanted < self.desired and self._avoided):
                continue  # no scaling in while a zone is shifted away
            if self._want(wanted, alert.alarm):
                one.followed(self.world.now_ns)

    def _want(self, wanted: int, why: str) -> bool:
        """Desire another number of instances, as far as the bounds allow; whether that is news."""
        allowed = within(wanted, self._least, self._most)
        if allowed == self.desired:
            return False
        self.world.log(self.name, f"{self.desired} instances desired, now {allowed} ({why})")
        self.desired = allowed
        self.desired_log.append((self.world.now_ns, allowed, why))
        return True

    def _reschedule(self, schedule: ScheduleSpec) -> None:
        """It is time for other bounds."""
        self._least = self._least if schedule.least is None else schedule.least
        self._most = self._most if schedule.most is None else schedule.most
        self.world.log(self.name, f"scheduled: {self._least} to {self._most} instances")
        self._want(self.desired if schedule.desired is None else schedule.desired, "schedule")
        if schedule.every_ns:
            number = self.spec.policies.index(schedule)
            self.world.post(schedule.every_ns, self.name, number, self.receive, schedule)

    def decide(self) -> Iterable[Action]:
        """Bring what runs in line with what is desired."""
        members = self.members
        found: list[Action] = [Stop(i) for i in members.at(Stage.DONE)]
        found += [Enlist(i) for i in members.at(Stage.STARTED)]
        found += [Dismiss(i, replaced=True) for i in members.to_replace(self.desired)]
        return [*found, *self._corrections()]

    def _corrections(self) -> Iterable[Launch | Dismiss]:
        """Launches where too few instances are there or ordered, dismissals where too many are."""
        counts = self.members.counts() + Counter(one.zone for one in self._orders.values())
        missing = self.desired - counts.total() + sum(one.extra for one in self._orders.values())
        if missing > 0 and not self._waits:
            return self._launches_for(missing, counts)
        if missing < 0:
            return self._dismissals(-missing, counts)
        return self._balancing(counts)

    def _willing(self) -> tuple[int, ...]:
        """Zones in which it makes sense to ask."""
        return tuple(zone for zone in self.spec.zones if zone not in self._refusing and zone not in self._avoided)

    def _launches_for(self, missing: int, counts: Counter[int]) -> Iterable[Launch]:
        asked = self._willing()
        if self.spec.launch.balanced_only and not self._refusing:
            asked = self.spec.zones
        elif self.spec.launch.balanced_only or not asked:
            self._wait()
            return []
        found = []
        for _ in range(missing):
            zone = zone_to_launch(counts, asked)
            counts[zone] += 1
            found.append(Launch(zone))
        return found

    def _wait(self) -> None:
        """Ask again after a while."""
        self._waits = True
        self.world.post(self.spec.launch.retry_ns, self.name, -1, self.receive, Again())

    def _balancing(self, counts: Counter[int]) -> Iterable[Launch]:
        """One instance more where there are fewest, if another zone has two more: the excess goes when it runs."""
        willing = self._willing()
        under_way = self._orders or self._waits or self._avoided or self.model.leaving or self.members.warming()
        if not self.spec.rebalances or under_way or not willing or len(self.spec.zones) < 2:
            return []
        fewest = zone_to_launch(counts, willing)
        if max(counts[zone] for zone in self.spec.zones) - counts[fewest] < 2:
            return []
        if fewest not in self._refused:
            self.world.log(
                self.name, f"zone {self._zone_names[fewest]} has too few: one more instance is launched there"
            )
        return [Launch(fewest, extra=True)]

    def _dismissals(self, excess: int, counts: Counter[int]) -> Iterable[Dismiss]:
        """Zone by zone from the fullest."""
        found: list[Dismiss] = []
        spared: set[int] = set()
        for _ in range(excess):
            zone = zone_to_shrink(counts, self.spec.zones)
            counts[zone] -= 1
            gone = self.members.to_dismiss(zone, spared)
            if gone is not None:
                spared.add(gone)
                found.append(Dismiss(gone))
        return found

    def newest(self, zone: int) -> int | None:
        """The instance of a zone that would go first; None where none may."""
        return self.members.to_dismiss(zone, ())

    def can(self, action: Action) -> bool:
        """Only what is in service can be taken out."""
        return not isinstance(action, Dismiss) or action.instance in self.members.at(Stage.IN_SERVICE)

    def act(self, action: Action) -> None:
        """Launch, enlist, dismiss or stop."""
        match action:
            case Launch():
                self._orders[self._launches.order(action.zone)] = action
            case Enlist():
                self.members.enlisted(action.instance)
                self._targets.add(action.instance)
                self.world.log(self.name, f"{self._names[action.instance]} runs")
            case Dismiss():
                self._dismiss(action)
            case Stop():
                zone = self.members.remove(action.instance)
                self._machines.stop(action.instance)
                self._launches.give_back(action.instance, zone)

    def _dismiss(self, action: Dismiss) -> None:
        """What does not run any more has nothing to finish."""
        runs = self.members.leaves(action.instance, replaced=action.replaced)
        self._targets.remove(action.instance, unwell=action.replaced)
        why = "replaced" if action.replaced else "taken out"
        self.world.log(self.name, f"{self._names[action.instance]} is {why}")
        drain_ns = self.spec.drain_ns if runs else 0
        self.world.post(drain_ns, self.name, action.instance, self.receive, Drained(action.instance))

    def check(self, existing: Collection[int]) -> None:
        """C4: the group has what exists, and desires what its bounds allow; raises InternalError."""
        if sorted(existing) != sorted(self.members.instances):
            raise InternalError(f"{self.name} believes in {self.members.instances}, there are {sorted(existing)}")
        if not self._least <= self.desired <= self._most:
            raise InternalError(f"{self.name} desires {self.desired} of {self._least} to {self._most}")
