"""What each hazard does to its wire, when that changes what a controller does, and when it does not (T2)."""

from __future__ import annotations

import functools
import heapq
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from azsim.control.alarms import Alert
from azsim.control.hazards import Faulty, flaw
from azsim.control.loop import Controller
from azsim.control.router import Router, Verdict
from azsim.control.scaling import Dismiss, Launch
from azsim.control.signals import MOST, Signals, counterparts
from azsim.control.specs import HazardSpec
from azsim.control.telemetry import Point
from azsim.policy.alarms import AlarmState
from azsim.policy.hazards import BY_KEY, CATALOGUE, Hazard, catalogue_markdown
from azsim.scenario import Scenario
from azsim.simulation.run import simulate
from azsim.simulation.trace import Trace

S = 1_000_000_000
ZONES = [0, 0, 1, 1, 2, 2]  # six targets in three zones
NEXT = {0: 2, 1: 3, 2: 4, 3: 5, 4: 0, 5: 1}
KEYS = [hazard.key for hazard in CATALOGUE]


class World:
    """A clock of its own, and what was done when."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.said: list[str] = []
        self._due: list[tuple[Any, ...]] = []
        self._made = itertools.count()

    def post(self, delay_ns: int, controller: str, number: int, receive: Any, message: Any) -> None:
        entry = (self.now_ns + delay_ns, controller, number, next(self._made), receive, message)
        heapq.heappush(self._due, entry)

    def log(self, source: str, what: str) -> None:
        self.said.append(f"{source}: {what}")

    def at(self, t_s: float, do: Callable[[], None]) -> None:
        self.post(int(t_s * S) - self.now_ns, "", 0, lambda _: do(), None)

    def run(self, until_s: float) -> None:
        while self._due and self._due[0][0] <= until_s * S:
            self.now_ns, *_, receive, message = heapq.heappop(self._due)
            receive(message)
        self.now_ns = int(until_s * S)


def spec(wire: str, name: str, size: float | None = None, probability: float | None = None, **more: Any) -> HazardSpec:
    """A hazard as the catalogue has it, but for what is given; `size` in seconds where it is a time."""
    kind = next(one for one in CATALOGUE if one.key == (wire, name))
    amount = kind.size if size is None else size * (S if kind.measures == "duration" else 1)
    chance = kind.probability if probability is None else probability
    return HazardSpec(0, "c", wire, name, amount, chance, **more)


def signals(newest: Callable[[int], int | None] = lambda zone: None) -> Signals:
    return Signals(ZONES, counterparts(ZONES, [0] * len(ZONES)), newest)


# What a wire delivers.

Said = list[tuple[float, Any]]


def up(instance: int = 0) -> Verdict:
    return Verdict(instance, True)


def down(instance: int = 0) -> Verdict:
    return Verdict(instance, False)


def delivered(one: HazardSpec, sent: Said, might: Iterable[Any] = (), until_s: float = 1000) -> Said:
    """What comes out of a wire, and when, for what goes in; the hazard lasts from 0 s to 500 s."""
    world = World()
    hazard = flaw(one, world, signals({0: 1, 1: 3, 2: 5}.get), key=7)
    found: Said = []

    def arrive(message: Any) -> None:
        found.append((world.now_ns / S, message))

    world.at(0, lambda: hazard.begin(might, arrive))
    for t_s, message in sent:
        world.at(t_s, lambda message=message: hazard.take(message, arrive))  # type: ignore[misc]
    world.at(500, hazard.end)
    world.run(until_s)
    return found


ALERT = Alert("hot", AlarmState.ALARM, 0.1, 0.6)
CALM = Alert("hot", AlarmState.OK, -0.1, 0.4)
CONTRARY = ALERT._replace(state=AlarmState.OK, breach=-0.1)
DOWN, UP = down(), up()
CASES: list[tuple[tuple[str, str], float | None, Said, Said]] = [
    (("sensor", "missing-updates"), None, [(1, DOWN), (600, UP)], [(600, UP)]),
    (("sensor", "zeroed"), None, [(1, UP), (2, Point(3, 0.8)), (3, ALERT)],
     [(1, DOWN), (2, Point(3, 0.0)), (3, Alert("hot", AlarmState.OK, 0.0, 0.0))]),
    (("sensor", "overflowed"), None, [(1, DOWN), (2, Point(3, 0.8)), (3, CALM)],
     [(1, UP), (2, Point(3, MOST)), (3, Alert("hot", AlarmState.ALARM, MOST, MOST))]),
    (("sensor", "corrupted"), None, [(1, down(4)), (2, ALERT)], [(1, down(0)), (2, CONTRARY)]),
    (("sensor", "out-of-order"), 30, [(1, DOWN), (11, UP), (40, down(1))], [(31, UP), (31, DOWN), (70, down(1))]),
    (("sensor", "too-rapid"), 3, [(1, ALERT)], [(1, ALERT)] * 3),
    (("sensor", "infrequent"), 60, [(1, DOWN), (2, UP), (3, down(1))], [(60, UP), (60, down(1))]),
    (("sensor", "delayed"), 20, [(1, DOWN), (490, UP)], [(21, DOWN), (510, UP)]),
    (("sensor", "coordination-problems"), 15, [(10, UP), (20, UP), (30, DOWN), (40, DOWN), (50, DOWN)],
     [(10, UP), (20, UP), (30, DOWN), (40, UP), (50, DOWN)]),
    (("sensor", "degradation"), 0.001, [(1, DOWN)], []),
    (("model", "model-mismatch"), 0.5, [(1, DOWN), (2, Point(3, 0.8)), (3, ALERT)],
     [(1, UP), (2, Point(3, 0.4)), (3, Alert("hot", AlarmState.OK, -0.1, 0.3))]),
    (("model", "missing-inputs"), None, [(1, down(i)) for i in range(6)], [(1, down(i)) for i in (0, 3, 5)]),
    (("model", "missing-updates"), None, [(1, DOWN)], []),
    (("model", "too-rapid"), 2, [(1, DOWN)], [(1, DOWN)] * 2),
    (("model", "infrequent"), 60, [(1, DOWN), (2, UP)], [(60, DOWN), (60, UP)]),
    (("model", "delayed"), 20, [(1, DOWN)], [(21, DOWN)]),
    (("model", "coordination-problems"), 60, [(1, down(0)), (2, down(1)), (61, up(0)), (62, up(1))], []),
    (("model", "degradation"), 0.001, [(1, DOWN)], []),
    (("action", "not-provided"), None, [(1, DOWN)], []),
    (("action", "unsafe"), None, [(1, down(4)), (2, Launch(1)), (3, Dismiss(3)), (4, CALM)],
     [(1, down(0)), (2, Dismiss(3)), (3, Launch(1)), (4, CALM._replace(state=AlarmState.ALARM, breach=0.1))]),
    (("action", "too-early"), 60, [(30, up(2)), (31, up(3)), (61, up(2))], [(0, down(2)), (31, up(3)), (61, up(2))]),
    (("action", "too-late"), 20, [(1, DOWN)], [(21, DOWN)]),
    (("action", "wrong-sequence"), 30, [(1, DOWN), (11, UP)], [(31, UP), (31, DOWN)]),
    (("action", "stopped-too-soon"), 30, [(1, DOWN), (2, Launch(1))],
     [(1, DOWN), (2, Launch(1)), (31, UP), (32, Dismiss(3))]),
    (("action", "applied-too-long"), 60, [(1, DOWN), (11, UP), (70, DOWN)], [(1, DOWN), (61, UP), (121, DOWN)]),
    (("action", "conflicts"), 200, [(1, DOWN)], [(1, DOWN), (201, UP), (401, DOWN)]),
    (("action", "coordination-problems"), 20, [(1, DOWN), (11, UP)], [(1, DOWN), (11, UP), (21, DOWN), (31, UP)]),
    (("action", "degradation"), 0.001, [(1, DOWN)], []),
]  # fmt: skip


@pytest.mark.parametrize(("key", "size", "sent", "expected"), CASES, ids=["-".join(case[0]) for case in CASES])
def test_the_wire_does_what_the_definition_says(
    key: tuple[str, str], size: float | None, sent: Said, expected: Said
) -> None:
    got = delivered(spec(*key, size), sent, [down(2)] if key == ("action", "too-early") else ())
    if key == ("model", "missing-inputs"):
        # Who is left out is drawn; for whom it is, nothing ever arrives.
        heard = {message.instance for _, message in got}
        assert 0 < len(heard) < 6
        assert {m.instance for _, m in delivered(spec(*key), [*sent, (9, up(0)), (9, up(1)), (9, up(2))])} == heard
    elif key == ("model", "coordination-problems"):
        first = {m.instance for t_s, m in got if t_s in (1, 2)}
        for instance in (0, 1):
            own = [t_s for t_s, m in got if m.instance == instance]
            assert own == ([1 + instance, 120] if instance in first else [60, 61 + instance])
    else:
        assert got == expected


def test_every_hazard_has_its_case() -> None:
    assert [case[0] for case in CASES] == KEYS
    assert len(set(KEYS)) == 28


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_it_leaves_alone_what_is_of_another_zone_or_of_nobody_and_what_comes_after_it(key: tuple[str, str]) -> None:
    elsewhere: Said = [(1, down(0)), (2, down(2)), (3, "a timer of its own")]
    assert delivered(spec(*key, zone=2), elsewhere, [down(2)]) == elsewhere
    late: Said = [(600, down(4)), (700, up(4))]
    assert delivered(spec(*key), late) == late


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_it_touches_nothing_at_a_probability_of_0(key: tuple[str, str]) -> None:
    sent: Said = [(1, down(4)), (40, up(4)), (80, down(4))]
    assert delivered(spec(*key, probability=0.0), sent, [down(2)]) == sent


def test_chance_is_keyed_by_whom_it_is_about() -> None:
    """What comes for others changes nothing for a target (O4)."""
    some = spec("sensor", "missing-updates", probability=0.5)
    own: Said = [(float(t), down(1)) for t in range(1, 200)]
    others: Said = [(t + 0.5, down(2)) for t, _ in own]
    alone = delivered(some, own)
    assert [
        one for one in delivered(some, sorted([*own, *others], key=lambda one: one[0])) if one[1].instance == 1
    ] == alone
    assert 70 < len(alone) < 130


def test_a_degradation_grows() -> None:
    sent: Said = [(float(t), down()) for t in range(1, 400)]
    got = [t_s for t_s, _ in delivered(spec("sensor", "degradation", 400), sent)]
    early, late = sum(t_s < 100 for t_s in got), sum(t_s > 300 for t_s in got)
    assert early > 75
    assert late < 25


def test_what_is_corrupted_of_a_metric_is_anything_up_to_twice_its_value() -> None:
    values = [m.value for _, m in delivered(spec("sensor", "corrupted"), [(t, Point(t, 0.5)) for t in range(1, 300)])]
    assert 0 <= min(values) < 0.05
    assert 0.95 < max(values) < 1
    assert 0.45 < sum(values) / len(values) < 0.55


def test_counterparts_are_of_the_same_service_in_the_next_zone() -> None:
    assert counterparts(ZONES, [0] * 6) == NEXT
    assert counterparts([0, 0, 2, 1], [0, 0, 0, 1]) == {0: 2, 1: 2, 2: 0, 3: 3}


# What a controller does.


class Rig:
    """A router whose sensors speak every 10 s, with a hazard from 100 s to 400 s; `changes` are of its view."""

    def __init__(self, *specs: HazardSpec) -> None:
        self.world = World()
        self.changes: list[tuple[float, int, bool]] = []
        names = [f"web-{i}" for i in range(len(ZONES))]
        self.router = Router(self.world, "web", 0, names, (0.0, 0), self._view)
        read = signals()
        flaws = [flaw(one, self.world, read, 7) for one in specs]
        members = self.router.members
        self.router.wires = wires = Faulty(
            self.router,
            flaws,
            read,
            beat_ns=10 * S,
            known=lambda: sorted(members),
            might=lambda: [Verdict(i, False) for i in sorted(members)],
        )
        for one in specs:
            self.world.at(100, lambda one=one: wires.set_hazard(one.number, True))  # type: ignore[misc]
            self.world.at(400, lambda one=one: wires.set_hazard(one.number, False))  # type: ignore[misc]

    def _view(self, instance: int, healthy: bool) -> None:
        self.changes.append((self.world.now_ns / S, instance, healthy))

    def run(self, *told: tuple[float, int, bool]) -> list[tuple[float, int, bool]]:
        for t_s, instance, healthy in told:
            self.world.at(t_s, functools.partial(self.router.receive, Verdict(instance, healthy)))
        self.world.run(1500)
        return self.changes


LOSS = [(205.0, 4, False), (205.0, 5, False), (345.0, 4, True), (345.0, 5, True)]
"""A zone is lost at 205 s and back at 345 s."""
HARMLESS = {
    # The view is a state: to be told of it again, or twice, changes nothing.
    ("sensor", "too-rapid"),
    ("model", "too-rapid"),
}


def changed_at(changes: list[tuple[float, int, bool]], instance: int) -> list[tuple[float, bool]]:
    return [(t_s, healthy) for t_s, i, healthy in changes if i == instance]


@pytest.mark.parametrize("key", [key for key in KEYS if key not in HARMLESS], ids="-".join)
def test_it_changes_what_a_router_does(key: tuple[str, str]) -> None:
    undisturbed = Rig().run(*LOSS)
    size = {
        ("action", "coordination-problems"): 145.0,
        ("model", "coordination-problems"): 20.0,
        ("sensor", "infrequent"): 70.0,
        ("model", "infrequent"): 70.0,
        ("model", "degradation"): 120.0,
        ("sensor", "degradation"): 120.0,
        ("action", "degradation"): 120.0,
    }.get(key)
    assert undisturbed == LOSS
    assert Rig(spec(*key, size)).run(*LOSS) != undisturbed


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_all_is_as_it_should_be_once_it_is_over(key: tuple[str, str]) -> None:
    rig = Rig(spec(*key))
    rig.run(*LOSS)
    view = dict.fromkeys(range(6), True) | {i: healthy for _, i, healthy in rig.changes}
    assert all(view.values())


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_it_does_not_matter_in_a_zone_of_which_nothing_is_said(key: tuple[str, str]) -> None:
    """In zone 0 all is well all the time; what a flaw there does to the view of the lost zone is nothing."""
    changes = Rig(spec(*key, zone=0)).run(*LOSS)
    assert [one for one in changes if one[1] in (4, 5)] == LOSS or key in {
        ("sensor", "corrupted"),
        ("action", "unsafe"),
    }


@pytest.mark.parametrize("key", sorted(HARMLESS), ids="-".join)
def test_to_be_told_twice_of_a_state_does_not_matter(key: tuple[str, str]) -> None:
    assert Rig(spec(*key)).run(*LOSS) == LOSS


class Counter(Controller[Alert, int]):
    """Answers each alarm with one more, as a group without a cooldown does."""

    def __init__(self, world: World) -> None:
        super().__init__("c", world)
        self.wanted = 0
        self.done: list[int] = []

    def sense(self, reading: Alert) -> None:
        self.wanted += reading.state is AlarmState.ALARM

    def decide(self) -> list[int]:
        return [self.wanted]

    def act(self, action: int) -> None:
        self.done.append(action)


@pytest.mark.parametrize(("wire", "done"), [("sensor", [1, 2, 3, 4, 5]), ("model", [1, 2, 3, 4, 5, 5])])
def test_who_counts_is_misled_by_what_is_told_too_rapidly(wire: str, done: list[int]) -> None:
    world = World()
    controller = Counter(world)
    read = signals()
    controller.wires = wires = Faulty(controller, [flaw(spec(wire, "too-rapid"), world, read, 7)], read)
    wires.set_hazard(0, True)
    controller.receive(ALERT)
    assert controller.done == done
    controller.done.clear()
    controller.receive(CALM)
    assert set(controller.done) == {5}, "of what calls for nothing there may be more"


def test_hazards_work_together_in_the_order_in_which_they_are_listed() -> None:
    """Zeroed and late: what is well is taken for unhealthy, 60 s later."""
    late = HazardSpec(1, "c", "sensor", "delayed", 60.0 * S, 1.0, zone=0)
    changes = Rig(spec("sensor", "zeroed", zone=0), late).run()
    assert changed_at(changes, 0) == [(160.0, False), (450.0, True)], (
        "the last zero set out at 390 s, and what is true may not overtake it"
    )
    assert {i for _, i, _ in changes} == {0, 1}


def test_a_halted_controller_takes_up_what_has_come_over_its_wires() -> None:
    rig = Rig(spec("sensor", "delayed", 20))
    rig.world.at(210, rig.router.halt)
    rig.world.at(300, rig.router.go_on)
    assert rig.run(*LOSS)[:2] == [(300.0, 4, False), (300.0, 5, False)]


def test_a_definition_is_one_sentence() -> None:
    for hazard in CATALOGUE:
        assert isinstance(hazard, Hazard)
        assert hazard.definition.endswith(".")
        assert ". " not in hazard.definition, hazard.key
        assert (hazard.measures == "") == (hazard.size == 0)


# In scenarios.


def small(**changes: Any) -> Scenario:
    """Three zones, one of which is lost from 60 s to 180 s; checks of 5 s, twice."""
    health = {"interval": "5s", "timeout": "1s", "healthy_after": 2, "propagation": "1s"}
    service = {"work": {"distribution": "constant", "mean": "20ms"}, "balancer": {"health": health}}
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "wires",
            "duration": "5min",
            "zones": ["a", "b", "c"],
            "traffic": {"shoppers": {"to": "web", "rate": "60/s", "timeout": "1s"}},
            "services": {"web": {"instances_per_zone": 2, **service}},
            "faults": [{"id": "loss", "at": "60s", "for": "120s", "zone_loss": {"zone": "c"}}],
            "hypothesis": {"window": "5s"},
        }
    )
    return base.with_(changes)


def views(trace: Trace) -> list[tuple[int, int, bool]]:
    return list(trace.view_changes)


def test_both_engines_agree_on_what_hazards_do() -> None:
    listed = [
        {"on": "health.web", "sensor": "delayed", "at": "60s", "for": "2min"},
        {"on": "router.web", "action": "unsafe", "probability": "50%", "at": "60s"},
    ]
    one = small(hazards=listed, duration="4min", **{"traffic.shoppers.rate": "20/s"})
    first, second = (simulate(one, engine=engine) for engine in ("reference", "kernel"))
    assert (first.events, first.view_changes) == (second.events, second.view_changes)
    assert len(first.view_changes) > 4


def test_a_delayed_sensor_delays_detection_by_its_size() -> None:
    hazard = {"on": "health.web", "sensor": "delayed", "size": "30s", "at": "60s"}
    plain, late = simulate(small()), simulate(small(hazards=[hazard]))
    assert [t for t, _, healthy in views(late) if not healthy] == [
        t + 30 * S for t, _, healthy in views(plain) if not healthy
    ]


def test_a_hazard_comes_and_goes_as_a_fault_does() -> None:
    hazard = {"id": "deaf", "on": "router.web", "sensor": "missing-updates", "zone": "c", "at": "50s", "for": "200s"}
    trace = simulate(small(hazards=[hazard]))
    assert not trace.view_changes
    told = [(event.t_ns // S, event.what) for event in trace.events if event.source == "fault"]
    assert told[0] == (50, "router.web: sensor missing-updates (zone c)")
    assert told[-1] == (250, "router.web: sensor missing-updates (zone c) is over")
    assert [span.id for span in trace.faults] == ["deaf", "loss"]


def test_what_is_zeroed_opens_the_balancer_and_its_end_puts_all_back() -> None:
    hazard = {"on": "health.web", "sensor": "zeroed", "at": "70s", "for": "60s"}
    trace = simulate(small(faults=[], hazards=[hazard]))
    assert {i for _, i, healthy in views(trace) if not healthy} == set(range(6))
    assert {i for t, i, healthy in views(trace) if healthy and 130 * S <= t <= 137 * S} == set(range(6))


def test_a_group_that_launches_for_alarms_that_lie() -> None:
    scaling = {
        "min": 3,
        "max": 12,
        "alarms": {"cold": {"metric": "cpu", "at_most": "1%", "period": "10s"}},
        "policies": [{"on": "cold", "remove": 1, "cooldown": "10s"}],
        "launch": {"delay": "10s", "warmup": "0s"},
    }
    hazard = {"on": "alarm.web.cold", "sensor": "zeroed", "at": "70s"}
    changes = {"services.web.scaling": scaling, "observability.delay": "1s", "faults": []}
    (before, after) = (simulate(small(**changes, hazards=h), paranoid=True) for h in ([], [hazard]))
    assert len(before.scaling.desired["web"]) == 1
    assert after.scaling.desired["web"][-1][1] == 3


@pytest.mark.parametrize("key", [key for key in KEYS if key[0] == "action"], ids="-".join)
def test_whatever_a_group_does_it_knows_its_instances(key: tuple[str, str]) -> None:
    """C4 is asserted every second of a paranoid run."""
    scaling = {
        "min": 3,
        "max": 12,
        "alarms": {"hot": {"metric": "cpu", "above": "1%", "period": "10s"}},
        "policies": [{"on": "hot", "add": 2, "cooldown": "20s"}],
        "launch": {"delay": "10s", "warmup": "0s"},
    }
    changes = {"services.web.scaling": scaling, "observability.delay": "1s", "faults": []}
    sizes = {"size": "20s"} if BY_KEY[key].measures else {}
    hazard = {"on": "scaling.web", key[0]: key[1], "at": "15s", **sizes}
    plain, touched = (simulate(small(**changes, hazards=h), paranoid=True) for h in ([], [hazard]))
    assert plain.scaling.presence != touched.scaling.presence or key[1] in ("applied-too-long", "wrong-sequence")


def test_the_page_has_the_catalogue() -> None:
    page = (Path(__file__).parents[2] / "docs/control-loops.md").read_text(encoding="utf-8")
    assert page.endswith(catalogue_markdown()), "write azsim.policy.hazards.catalogue_markdown() to its end"
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        listed = [{"on" if k is True else k: v for k, v in one.items()} for one in yaml.safe_load(block)["hazards"]]
        for one in listed:
            one["at"], one["for"] = "70s", "60s"
        assert small(hazards=listed).hazards
