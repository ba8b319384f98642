"""Caches and replicated data as a scenario says them: tables, arithmetic, judgement."""

from __future__ import annotations

from typing import Any

import pytest

from azsim import Result, run
from azsim.base.units import SECOND_NS
from azsim.scenario import Scenario
from azsim.scenario.arithmetic import arithmetic
from azsim.simulation.lower import lower
from azsim.simulation.replay import _Inquiry
from azsim.simulation.run import simulate
from azsim.simulation.verdict import Deadline, State

WORK = {"distribution": "constant", "mean": "1ms"}
CACHED: dict[str, Any] = {
    "azsim": 1,
    "name": "cached",
    "duration": "30s",
    "zones": ["a", "b"],
    "traffic": {"apps": {"to": "web", "rate": "100/s", "timeout": "1s", "operations": {"look": "80%", "buy": "20%"}}},
    "services": {
        "web": {
            "work": WORK,
            "cache": {"hit_ratio": "90%", "entries": 1001, "filled": "50%", "kept": "10%"},
            "operations": {
                "look": [{"work": "own"}, {"call": {"to": "db"}}],
                "buy": [{"work": "own"}, {"call": {"to": "db", "cached": False}}],
            },
        },
        "db": {"work": {"distribution": "constant", "mean": "50ms"}, "slots": 2},
    },
}
STORE: dict[str, Any] = {
    "azsim": 1,
    "name": "store",
    "duration": "40s",
    "zones": ["a", "b"],
    "traffic": {"apps": {"to": "db", "rate": "20/s", "timeout": "1s", "retry": {"attempts": 2}}},
    "services": {"db": {"work": WORK, "replication": {"lag": "2s"}}},
    "faults": [{"id": "loss", "at": "20s", "for": "5s", "zone_loss": {"zone": "a"}}],
    "hypothesis": {"window": "1s", "recover_within": "10s", "data_loss": 0},
}


def cached(**changes: Any) -> Scenario:
    return Scenario.from_dict(CACHED).with_(changes) if changes else Scenario.from_dict(CACHED)


def test_the_tables_of_a_cache() -> None:
    plan = lower(cached(), seed=1)
    web = plan.traits[plan.instances["service"] == plan.service_names.index("web")][0]
    assert [web[f"cache_{name}"] for name in ("entries", "filled", "hit_ratio", "kept")] == [1001, 500, 0.9, 0.1]
    assert plan.policies["cached"].tolist() == [0, 0, 1], "of apps, buy, look"
    assert plan.rich
    assert not lower(cached(**{"services.web.cache": "none"}), seed=1).policies["cached"].any()


def test_a_cache_of_one_zone_alone_is_a_program_everywhere() -> None:
    changes = {
        "services.web.overrides": {"b": {"cache": CACHED["services"]["web"]["cache"]}},
        "services.web.cache": "none",
    }
    plan = lower(cached(**changes), seed=1)
    assert plan.traits["cache_entries"].tolist().count(1001) == 1
    assert plan.services["operation"][plan.service_names.index("web")] >= 0


def test_what_is_behind_a_cache_gets_its_misses() -> None:
    """80/s x 10% and 20/s past the cache; with empty caches all 100/s, for 2 x 2 / 50 ms."""
    figures = arithmetic(cached())
    db = figures.services["db"]
    assert db.load.rate_per_s == pytest.approx(28)
    assert db.uncached is not None
    assert db.uncached.rate_per_s == pytest.approx(100)
    assert db.load.capacity_per_s == pytest.approx(80)
    assert figures.services["web"].load == figures.services["web"].uncached
    (finding,) = (one for one in figures.findings if "empty" in one)
    assert finding == "While the caches in front of it are empty db is at 125%: 100/s for a capacity of 80/s."


def test_without_caches_nothing_is_cold() -> None:
    figures = arithmetic(cached(**{"services.web.cache": "none"}))
    assert figures.services["db"].uncached is None
    assert figures.services["db"].load.rate_per_s == pytest.approx(100)


def test_a_zone_without_the_cache_misses_always() -> None:
    figures = arithmetic(cached(**{"services.web.overrides": {"b": {"cache": "none"}}}))
    assert figures.services["db"].load.rate_per_s == pytest.approx(20 + 80 * 0.55)


def test_writes_at_risk() -> None:
    """Half of 20/s go to a zone, which alone holds them for 2 s."""
    figures = arithmetic(Scenario.from_dict(STORE))
    assert figures.services["db"].writes_at_risk == pytest.approx(20)
    assert any(finding.endswith("so are up to 20 of them.") for finding in figures.findings)


def stored(**changes: Any) -> Result:
    return run(Scenario.from_dict(STORE).with_(changes), engine="reference", replays=False)


def test_lost_writes_falsify_a_hypothesis() -> None:
    result = stored(**{"hypothesis.data_loss": 0})
    assert result.data_loss is not None
    assert 5 < result.data_loss < 40
    assert result.services["db"]["writes_lost"] == result.data_loss
    assert sum(result.timeline["services.db.writes_lost"]) == result.data_loss
    (violation,) = (one for one in result.violations if one["rule"] == "data_loss")
    assert (violation["first_s"], violation["worst"], violation["bound"]) == (20.0, result.data_loss, "<= 0")
    assert result.hypothesis == "falsified"
    assert [event["what"] for event in result.events if event["source"] == "data-loss"] == [
        f"{result.data_loss} acknowledged writes lost"
    ]


def test_so_many_may_be_lost() -> None:
    most = stored().data_loss
    assert "data_loss" not in [one["rule"] for one in stored(**{"hypothesis.data_loss": most}).violations]


def test_the_loss_of_data_stops_the_experiment() -> None:
    result = stored(**{"hypothesis.data_loss": "none", "abort": [{"data_loss": "> 3"}]})
    assert result.aborted_at_s in (20.0, 21.0)
    assert result.faults[0]["end_s"] == result.aborted_at_s


def test_without_replication_there_is_nothing_to_lose() -> None:
    changes = {"services.db.replication": "none", "hypothesis.data_loss": "none"}
    result = stored(**changes)
    assert result.data_loss is None
    assert result.services["db"]["writes"] == 0


@pytest.mark.parametrize(("kept", "filled", "cold"), [("0%", 0, True), ("100%", 0, False), ("0%", 1, False)])
def test_caches_that_hit_less_than_before_the_fault_are_noticed_and_filled(kept: str, filled: int, cold: bool) -> None:
    """Both instances crash at 10 s; filled again at 11 s they hit as often as before."""
    faults = [{"at": "10s", "for": "1s", "crash": {"service": "web", "hosts": "all"}}]
    given = Scenario.from_dict({**CACHED, "faults": faults, "hypothesis": {"window": "5s"}})
    given = given.with_({"services.web.cache.filled": "100%", "services.web.cache.kept": kept})
    trace = simulate(given, engine="reference", refill_at_ns=11 * SECOND_NS if filled else None)
    deadline = Deadline(20 * SECOND_NS, "crash", "end", State.BROKEN)
    assert _Inquiry(trace, simulate).cooled(deadline) is cold
