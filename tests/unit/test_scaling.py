"""Scaling groups from end to end, on a small service whose load is known (S1 to S3)."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.units import SECOND_NS
from azsim.scenario import Scenario
from azsim.simulation.result import Result, build
from azsim.simulation.run import simulate
from azsim.simulation.trace import Trace

HOT = {"metric": "cpu", "above": "50%", "period": "10s"}
COLD = {"metric": "cpu", "at_most": "30%", "period": "10s"}


def scenario(scaling: dict[str, Any], rate: str = "6/s", **changes: Any) -> Scenario:
    """Three zones with one instance of one core each; 6/s of 200 ms keep them 40% busy."""
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "scaled",
            "duration": "3min",
            "warmup": "10s",
            "zones": ["a", "b", "c"],
            "traffic": {"shoppers": {"to": "web", "rate": rate, "timeout": "10s"}},
            "services": {
                "web": {
                    "slots": 4,
                    "cores": 1,
                    "work": {"distribution": "constant", "mean": "200ms"},
                    "balancer": {"health": {"interval": "5s", "timeout": "1s", "propagation": "0s"}},
                    "scaling": {"min": 1, "max": 6} | scaling,
                }
            },
            "observability": {"delay": "2s"},
            "hypothesis": {"window": "5s"},
        }
    )
    return base.with_(changes) if changes else base


def run(one: Scenario, engine: str = "reference") -> Trace:
    return simulate(one, engine=engine, paranoid=engine == "reference")


def result(trace: Trace) -> Result:
    return build(trace)


def desired(trace: Trace, group: str = "web") -> list[tuple[float, int]]:
    return [(t_ns / SECOND_NS, wanted) for t_ns, wanted, _ in trace.scaling.desired[group]]


def told(trace: Trace, source: str) -> list[tuple[float, str]]:
    return [(one.t_ns / SECOND_NS, one.what) for one in trace.events if one.source == source]


SIMPLE = {
    "alarms": {"hot": HOT, "cold": COLD},
    "policies": [{"on": "hot", "add": 1, "cooldown": "40s"}, {"on": "cold", "set": 2, "cooldown": "40s"}],
    "launch": {"delay": "15s", "warmup": "5s"},
}


def test_an_alarm_adds_an_instance_and_the_group_waits() -> None:
    """9.9/s ask for two cores: 66%. The first point comes 2 s late, the instance runs 15 s later; 40 s must pass."""
    trace = run(scenario(SIMPLE, rate="9.9/s"))
    assert desired(trace)[:2] == [(0.0, 3), (12.0, 4)]
    assert told(trace, "scaling.web")[:2] == [
        (12.0, "3 instances desired, now 4 (hot)"),
        (27.0, "web-a-2 runs"),
    ]
    # The cooldown counts from when it runs, and four instances are still 49.5% busy: that is not above 50%.
    assert [t_s for t_s, wanted in desired(trace) if wanted > 4 and t_s < 67.0] == []
    assert (27 * SECOND_NS, 1, True) in trace.scaling.presence


def test_a_new_target_takes_requests_after_one_pass_though_others_need_five() -> None:
    trace = run(scenario(SIMPLE, rate="9.9/s"))
    (entered_ns,) = (t_ns for t_ns, instance, healthy in trace.view_changes if instance == 1 and healthy)
    assert 0 < entered_ns - 27 * SECOND_NS <= 5.1 * SECOND_NS
    names = result(trace).timeline_lists["services"]["web"]
    assert names["healthy_view"]["a"][26] == 1
    assert names["healthy_view"]["a"][33] == 2
    assert names["desired"][11:13] == [3, 4]


def test_what_leaves_goes_from_the_fullest_zone_and_finishes_its_work() -> None:
    trace = run(scenario(SIMPLE, rate="3/s", **{"services.web.scaling.drain": "7s"}))
    assert desired(trace) == [(0.0, 3), (12.0, 2)]
    assert told(trace, "scaling.web")[1] == (12.0, "web-c-1 is taken out")
    rows = {name: i for i, name in enumerate(trace.plan.instance_names)}
    assert trace.scaling.presence == ((19 * SECOND_NS, rows["web-c-1"], False),)
    done = result(trace)
    assert not done.totals["failed"]
    # Two for the whole time judged and one for the first nine seconds of it.
    assert done.services["web"]["instance_s"] == pytest.approx(2 * 170 + 9)
    assert done.services["web"]["stopped"] == 1
    assert done.totals["utilisation"] == pytest.approx(3 * 0.2 / 2, rel=0.1), "of the cores that existed"


def test_both_engines_scale_alike() -> None:
    one = scenario(SIMPLE, rate="9.9/s", faults=[{"at": "60s", "for": "60s", "zone_loss": {"zone": "b"}}])
    first, second = result(run(one)).to_dict(), result(run(one, "kernel")).to_dict()
    for name in ("engine", "wall_s", "requests_per_wall_s"):
        del first[name], second[name]
    assert first == second


def test_a_group_that_lives_in_a_lost_zone_does_nothing() -> None:
    changes = {
        "services.web.scaling.control_zone": "b",
        "faults": [{"at": "10s", "for": "90s", "zone_loss": {"zone": "b", "mode": "control"}}],
    }
    trace = run(scenario(SIMPLE, rate="9.9/s", **changes))
    assert desired(trace)[1][0] == 100.0, "it takes up what it has missed"


def test_a_zone_of_its_own() -> None:
    changes = {"services.web.scaling.per_zone": True, "services.web.scaling.max": 2}
    trace = run(scenario(SIMPLE, rate="9.9/s", **changes))
    assert sorted(trace.scaling.desired) == ["web.a", "web.b", "web.c"]
    assert {group: desired(trace, group)[1] for group in trace.scaling.desired} == dict.fromkeys(
        trace.scaling.desired, (12.0, 2)
    )


def test_stress_on_all_hosts_does_not_follow_to_new_ones() -> None:
    """A chaos tool strikes the hosts it finds; those launched later are not among them."""
    stress = {"at": "20s", "cpu_stress": {"service": "web", "hosts": "all", "load": "100%"}}
    trace = run(
        scenario(SIMPLE, rate="3/s", faults=[stress], **{"services.web.scaling.policies": [SIMPLE["policies"][0]]})
    )
    assert desired(trace)[1] == (32.0, 4)
    (fault,) = trace.faults
    assert len(fault.instances) == 3
    busy = result(trace).timeline_lists["services"]["web"]["utilisation"]
    assert busy["b"][60] == pytest.approx(1.0, abs=0.05)
    assert busy["a"][60] < 0.7, "one of its two instances is not stressed"
