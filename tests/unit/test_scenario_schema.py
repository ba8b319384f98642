"""A scenario is an immutable value with exact quantities, paths by name, an identity and known sources."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario, load
from azsim.scenario.contents import Contents
from azsim.scenario.paths import Spot, below, entry_names
from azsim.scenario.problems import written
from azsim.scenario.retry import OUTCOMES
from azsim.scenario.traffic import RateFile
from azsim.scenario.tree import Origin, from_plain

FILE = Path(__file__).parents[1] / "faults/base.yaml"
MS, S = 1_000_000, 1_000_000_000

SMALL: dict[str, Any] = {
    "azsim": 1,
    "name": "small",
    "duration": "2min",
    "zones": ["a", "b"],
    "traffic": {"users": {"to": "web", "rate": "10/s"}},
    "services": {"web": {"work": {"distribution": "constant", "mean": "20ms"}}},
}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(FILE)


def small(**changes: Any) -> Scenario:
    return Scenario.from_dict({**copy.deepcopy(SMALL), **changes})


def test_attributes_are_the_keys_in_raw_numbers(scenario: Scenario) -> None:
    shoppers, web = scenario.traffic["shoppers"], scenario.services["web"]
    assert (scenario.duration, scenario.warmup, scenario.zones) == (1200 * S, 60 * S, ("a", "b", "c"))
    assert (shoppers.rate, shoppers.peak_rate, shoppers.from_) == (2880.0, 2880.0, "outside")
    assert (shoppers.timeout, shoppers.connect_timeout, shoppers.deadline) == (S, None, 5 * S)
    assert shoppers.retry is not None
    assert shoppers.retry.on == OUTCOMES
    assert shoppers.retry.backoff is not None
    assert (shoppers.retry.backoff.base, shoppers.retry.backoff.cap) == (50 * MS, 20 * S)
    assert shoppers.retry.budget is not None
    assert (shoppers.retry.budget.timeout_cost, shoppers.retry.budget.deposit_after_retry) == (10, "cost")
    assert web.balancer.health is not None
    assert (web.balancer.health.unhealthy_after, web.balancer.health.interval) == (2, 10 * S)
    assert web.calls[0].id == web.calls[0].to == "catalog"
    assert [fault.id for fault in scenario.faults] == ["loss", "cpu_stress", "traffic_spike", "pause"]
    assert [fault.kind for fault in scenario.faults] == ["zone_loss", "cpu_stress", "traffic_spike", "pause"]
    assert scenario.faults[1].spec.load == 0.8  # type: ignore[union-attr]
    assert scenario.faults[0].for_ == 600 * S
    assert scenario.hypothesis.success is not None
    assert scenario.hypothesis.success.limit == 0.999
    assert scenario.abort[0].condition.limit == 0.2


def test_defaults() -> None:
    made = small()
    users, web = made.traffic["users"], made.services["web"]
    assert (made.seed, made.warmup, made.faults, made.abort, dict(made.vary)) == (1, 0, (), (), {})
    assert (made.network.same_zone, made.network.cross_zone) == (250_000, MS)
    assert (users.clients, users.timeout, users.deadline, users.retry, users.cancel) == (1, None, None, None, False)
    assert (web.slots, web.cores, web.queue, web.discipline, web.instances_per_zone) == (8, 8.0, 1000, "fifo", 1)
    assert (web.balancer.algorithm, web.balancer.health, web.balancer.retry) == ("round-robin", None, None)
    assert list(made.hypothesis.bounds) == ["success"]
    assert (made.hypothesis.window, made.hypothesis.recover_within) == (10 * S, 300 * S)


def test_a_default_follows_the_key_it_is_that_of() -> None:
    web = SMALL["services"]["web"]
    made = small(services={"web": {**web, "slots": 3}})
    assert made.services["web"].cores == 3
    assert made.with_({"services.web.slots": 5}).services["web"].cores == 5
    assert made.with_({"services.web.cores": 0.5, "services.web.slots": 5}).services["web"].cores == 0.5
    budget = made.with_({"traffic.users.retry.budget": {"cost": 7, "deposit": 2}}).traffic["users"].retry
    assert budget is not None
    assert budget.budget is not None
    assert (budget.budget.timeout_cost, budget.budget.deposit_after_retry) == (7, 2)


def test_an_override_is_the_service_with_some_keys_changed(scenario: Scenario) -> None:
    web = scenario.services["web"]
    assert web.instance("c").work.mean_ns == 24 * MS
    assert web.instance("c").work.distribution == "exponential"
    assert (web.instance("c").slots, web.instance("a").work.mean_ns) == (8, 20 * MS)
    other = scenario.with_({"services.web.overrides.c.work": {"distribution": "constant", "mean": "1ms"}})
    assert other.services["web"].instance("c").work.distribution == "constant"
    assert scenario.with_({"services.web.overrides": "none"}).services["web"].instance("c").work.mean_ns == 20 * MS


def test_instances_per_zone_is_one_number_or_one_for_each() -> None:
    web = SMALL["services"]["web"]
    each = small(services={"web": {**web, "instances_per_zone": {"a": 3}}}).services["web"]
    assert [each.instances(zone) for zone in "ab"] == [3, 0]
    assert [small().services["web"].instances(zone) for zone in "ab"] == [1, 1]


def test_network_pairs_hold_either_way(scenario: Scenario) -> None:
    delays = [scenario.network.delay_ns(*pair) for pair in ("ab", "ba", "ac", "aa")]
    assert delays == [600_000, 600_000, MS, 250_000]


def test_it_cannot_be_changed(scenario: Scenario) -> None:
    with pytest.raises(ValidationError):
        scenario.seed = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="with_"):
        scenario.services["web"] = scenario.services["catalog"]  # type: ignore[index]
    for change in ("clear", "popitem"):
        with pytest.raises(TypeError):
            getattr(scenario.traffic, change)()


def test_written_out_and_read_back_it_is_the_same(scenario: Scenario) -> None:
    everything = json.loads(json.dumps(scenario.to_dict()))
    again = Scenario.from_dict(everything)
    assert again == scenario
    assert again.digest == scenario.digest
    assert hash(again) == hash(scenario)
    assert again.to_dict() == scenario.to_dict()
    assert pickle.loads(pickle.dumps(scenario)) == scenario
    assert everything["duration"] == "20min"
    assert everything["services"]["catalog"]["cores"] == 16


def test_the_digest_says_what_differs_and_nothing_else(scenario: Scenario) -> None:
    assert len(scenario.digest) == 64
    assert scenario.with_({}).digest == scenario.digest
    assert scenario.with_({"traffic.shoppers.timeout": "1000ms"}).digest == scenario.digest
    assert scenario.with_({"services.catalog.queue": 1000}).digest == scenario.digest  # the default, said
    for path, value in {"name": "other", "seed": 2, "traffic.shoppers.timeout": "1001ms", "faults": "none"}.items():
        assert scenario.with_({path: value}).digest != scenario.digest, path
    assert scenario != "scenario"


def test_a_zero_overload_is_none() -> None:
    web = SMALL["services"]["web"]
    zero = small(services={"web": {**web, "overload": {"contention": 0, "coherency": 0}}})
    assert zero.digest == small().digest


def test_with_changes_by_names_and_ids(scenario: Scenario) -> None:
    changed = scenario.with_(
        {
            "traffic.shoppers.retry.attempts": 1,
            "services.web.calls.catalog.timeout": "1s",
            "services.web.balancer.algorithm": "random",
            "faults.loss.for": "none",
            "faults.cpu_stress.cpu_stress.load": "50%",
            "abort.error_rate.for": "5s",
            "services.catalog.drop_expired": True,
            "traffic.shoppers.from": {"a": "100%"},
            "hypothesis.during": "none",
        }
    )
    assert changed.traffic["shoppers"].retry is not None
    assert changed.traffic["shoppers"].retry.attempts == 1
    assert changed.services["web"].calls[0].timeout == S
    assert changed.services["web"].balancer.algorithm == "random"
    assert changed.faults[0].for_ is None
    assert changed.faults[1].spec.load == 0.5  # type: ignore[union-attr]
    assert changed.abort[0].for_ == 5 * S
    assert changed.services["catalog"].drop_expired is True
    assert changed.traffic["shoppers"].from_ == {"a": 1.0}
    assert changed.hypothesis.during is None
    assert scenario.faults[0].for_ == 600 * S


def test_with_takes_away_and_adds(scenario: Scenario) -> None:
    without = scenario.with_({"traffic.shoppers.retry": "none", "services.web.calls": "none", "faults": []})
    assert without.traffic["shoppers"].retry is None
    assert without.services["web"].calls == without.faults == ()
    added = without.with_({"traffic.shoppers.retry.attempts": 4, "traffic.bots": {"to": "web", "rate": "1/s"}})
    assert added.traffic["shoppers"].retry is not None
    assert added.traffic["shoppers"].retry.attempts == 4
    assert added.traffic["bots"].rate == 1.0


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("traffic.shopers.timeout", "1s", "the nearest is shoppers"),
        ("traffic.shoppers.timeuot", "1s", "the nearest is timeout"),
        ("services.web.calls.catalogue.timeout", "1s", "has no entry catalogue; the nearest is catalog"),
        ("faults.lose.for", "1s", "has no entry lose; the nearest is loss"),
        ("faults.0.for", "1s", "has no entry 0"),
        ("traffic.shoppers.rate.csv", "x.csv", "is 2880/s, which has no keys; set the whole of it"),
        ("traffic.shoppers.timeout", 1, "a duration is a number and a unit"),
        ("traffic.shoppers.timeout", object(), "not a Python object"),
        ("", 1, "the scenario has no key"),
        ("..", 1, "the scenario has no key"),
        ("services.web.work.mean.x", 1, "has no key x"),
    ],
)
def test_with_refuses_by_naming_the_change(scenario: Scenario, path: str, value: object, rule: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario.with_({path: value})
    assert rule in str(caught.value)
    assert "with_(" in caught.value.file
    assert caught.value.example


def test_set_lays_values_over_the_file() -> None:
    changed = load(
        FILE, set_={"traffic.shoppers.rate": "3000/s", "services.web.instances_per_zone": "{a: 1, b: 2, c: 3}"}
    )
    assert changed.traffic["shoppers"].rate == 3000.0
    assert changed.services["web"].instances("c") == 3
    assert changed.sources["traffic.shoppers.rate"] == "--set traffic.shoppers.rate=3000/s"
    assert load(FILE, set_={"traffic.shoppers.retry": "none"}).traffic["shoppers"].retry is None


@pytest.mark.parametrize("text", ["3000", "[", "!!x 1", "*a", "", "3000/s\n---\n1", "a: b: c"])
def test_set_refuses_by_naming_itself(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(FILE, set_={"traffic.shoppers.rate": text})
    assert caught.value.file == f"--set traffic.shoppers.rate={text}"
    assert caught.value.key.startswith("traffic.shoppers.rate") or not caught.value.key
    assert str(caught.value).startswith("--set traffic.shoppers.rate=")


def test_sources_say_where_each_value_came_from(scenario: Scenario) -> None:
    lines = FILE.read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "timeout: 1s" in text)
    assert scenario.sources["traffic.shoppers.timeout"] == f"{FILE}:{line}"
    assert scenario.sources["services.catalog.cores"] == "default"
    assert scenario.sources["services.catalog.balancer.algorithm"] == "default"
    assert scenario.sources["faults.pause.pause.backlog"] == "default"
    assert scenario.sources["faults.pause.id"] == "default"
    assert scenario.sources["faults.loss.id"].startswith(str(FILE))
    assert scenario.sources["services.web.calls.catalog.deadline"] == "default"
    changed = scenario.with_({"faults.loss.for": "1min"})
    assert changed.sources["faults.loss.for"] == "with_({'faults.loss.for': '1min'})"
    leaves = dict(_leaves("", scenario.to_dict()))
    assert set(scenario.sources) <= set(leaves), "a source names a value that is there"


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every path into JSON values, with ids for the entries of lists."""
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(f"{path}.{key}".lstrip("."), child)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        names = entry_names(from_plain(value, Origin("")).value)  # type: ignore[arg-type]
        for name, child in zip(names, value, strict=True):
            yield from _leaves(f"{path}.{name}", child)


def test_sources_through_extends(tmp_path: Path) -> None:
    top = tmp_path / "top.yaml"
    top.write_text(f"extends: {FILE}\nseed: 7\n")
    made = load(top)
    assert made.seed == 7
    assert made.sources["seed"] == f"{top}:2"
    assert made.sources["traffic.shoppers.timeout"].startswith(str(FILE))


@pytest.mark.parametrize(
    "text",
    [
        "at,rate\n0s,10/s\n1min,600/min\n90s,5/s\n",
        "at_s,rate_per_s\n0,10\n\n60,10\n 90 , 5 \n",
        "at,rate\r\n0s,10/s\r\n1min,10/s\r\n90s,5/s",
    ],
)
def test_a_rate_may_stand_in_a_csv_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "load.csv").write_bytes(text.encode())
    file = tmp_path / "scenario.yaml"
    file.write_text(written({**SMALL, "traffic": {"users": {"to": "web", "rate": {"csv": "load.csv"}}}}))
    made = load(file)
    points = [(point.at // S, point.rate) for point in made.traffic["users"].profile]
    assert points == [(0, 10.0), (60, 10.0), (90, 5.0)]
    assert made.traffic["users"].peak_rate == 10.0
    assert made.sources["traffic.users.rate"] == f"{file}:1"
    inline = [{"at": "0s", "rate": "10/s"}, {"at": "60s", "rate": "10/s"}, {"at": "90s", "rate": "5/s"}]
    assert made.digest == small(traffic={"users": {"to": "web", "rate": inline}}).digest
    assert Scenario.from_dict(made.to_dict()) == made


def test_a_csv_file_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/work.csv").write_text("work\n10ms\n30ms\n")
    (tmp_path / "own.csv").write_text("work_s\n0.05\n")
    work = {"distribution": "empirical", "csv": "work.csv"}
    (tmp_path / "shared/base.yaml").write_text(written({**SMALL, "services": {"web": {"work": work}}}))
    top = tmp_path / "top.yaml"
    top.write_text("extends: shared/base.yaml\nseed: 2\n")
    made = load(top)
    assert made.services["web"].work.mean_ns == 20 * MS
    assert load(top, set_={"services.web.work.csv": "own.csv"}).services["web"].work.mean_ns == 50 * MS
    assert made.with_({"seed": 3}).services["web"].work.mean_ns == 20 * MS


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("", 1, "holds no rows"),
        ("at,rate\n", 1, "holds no rows"),
        ("time,rate\n0s,1/s\n", 1, "the first row names the columns"),
        ("at,rate\n0s\n", 2, "a row has 2 cells"),
        ("at,rate\n0s,1/s,x\n", 2, "a row has 2 cells"),
        ("at,rate\n0s,1/s\n1min,5\n", 3, "a rate is a number per s"),
        ("at_s,rate_per_s\n0,ten\n", 2, "must be a plain number"),
        ("at_s,rate_per_s\n0,nan\n", 2, "must be a plain number"),
        ("at_s,rate_per_s\n0,1\n-1,1\n", 3, "must not be negative"),
        ('at,rate\n"0s,1/s\n', 2, "not CSV"),
        ("at,rate\n0s,1/s\n5s,1/s\n5s,2/s\n", 4, "later than the point before it"),
    ],
)
def test_a_csv_file_is_refused_with_its_line(tmp_path: Path, text: str, line: int, rule: str) -> None:
    (tmp_path / "load.csv").write_text(text)
    with pytest.raises(ScenarioError, match=rule) as caught:
        Scenario.from_dict({**SMALL, "traffic": {"users": {"to": "web", "rate": {"csv": "load.csv"}}}}, folder=tmp_path)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "load.csv"), line)
    assert caught.value.key.startswith("traffic.users.rate")
    assert caught.value.example


def traced(folder: Path, text: str) -> Scenario:
    """SMALL with a trace, and two operations to ask for."""
    (folder / "requests.csv").write_text(text)
    web = SMALL["services"]["web"] | {"operations": {"browse": [{"work": "own"}], "buy": [{"work": "own"}]}}
    traffic = {"users": {"to": "web", "rate": {"trace": "requests.csv"}}}
    return Scenario.from_dict({**SMALL, "services": {"web": web}, "traffic": traffic}, folder=folder)


@pytest.mark.parametrize("header", ["at,operation\n", "at_s, operation\n"])
def test_a_trace_may_say_what_each_request_asks_for(tmp_path: Path, header: str) -> None:
    unit = "" if "at_s" in header else "s"
    found = traced(tmp_path, f"{header}1{unit},buy\n2{unit},browse\n2{unit},buy\n4{unit},buy\n").traffic["users"]
    assert found.recorded == (S, 2 * S, 2 * S, 4 * S)
    assert found.recorded_operations == ("buy", "browse", "buy", "buy")
    assert found.mix == {"browse": 0.25, "buy": 0.75}
    assert traced(tmp_path, "at\n1s\n").traffic["users"].mix == {}


@pytest.mark.parametrize(
    ("text", "line", "rule", "example"),
    [
        ("at,wish\n1s,buy\n", 1, "at or at_s; operation may follow", "at"),
        ("operation,at\nbuy,1s\n", 1, "at or at_s; operation may follow", "at"),
        (
            "at,operation\n1s,buy\n2s,bye\n",
            3,
            "there is no operation of web bye; the nearest is buy",
            "operations: buy",
        ),
        ("at,operation\n1s,buy\n2s,\n", 3, "must be a name", "browse"),
        ("at_s,operation\n1,Buy it\n", 2, "must be a name", "browse"),
        ("at,operation\n1s,buy\n2s\n", 3, "a row has 2 cells", "at"),
        ("at_s,operation\n1s,buy\n", 2, "must be a plain number", "1.5"),
    ],
)
def test_a_trace_is_refused_with_its_line(tmp_path: Path, text: str, line: int, rule: str, example: str) -> None:
    with pytest.raises(ScenarioError, match=rule) as caught:
        traced(tmp_path, text)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "requests.csv"), line)
    assert caught.value.key.startswith("traffic.users.rate")
    assert caught.value.example == example


def test_a_rate_that_still_stands_in_a_file_has_no_profile() -> None:
    population = small().traffic["users"].model_copy(update={"rate": RateFile(csv="x.csv")})
    with pytest.raises(ValueError, match="still stands in a file"):
        _ = population.profile


@pytest.mark.parametrize(
    "values",
    [[], None, "azsim", 1, {1: 2}, {"azsim": {1}}, {"azsim": b"1"}, {"azsim": float("nan")}, {"azsim": 10**400}],
)
def test_python_values_that_are_no_scenario_are_refused(values: Any) -> None:
    with pytest.raises(ScenarioError):
        Scenario.from_dict(values)


def test_a_python_value_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = dict(SMALL)
    loop["network"] = loop
    with pytest.raises(ScenarioError, match="nests at most"):
        Scenario.from_dict(loop)
    wide: list[Any] = [1] * 400
    with pytest.raises(ScenarioError, match="at most 100000 values"):
        Scenario.from_dict({"zones": [wide] * 400})


def test_numbers_of_other_libraries_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert small(seed=numpy.int64(5)).seed == 5
    assert small().with_({"services.web.cores": numpy.float32(0.5)}).services["web"].cores == 0.5
    assert small().with_({"services.web.slots": 4.0}).services["web"].slots == 4


def test_vary_is_typed_and_its_values_fit() -> None:
    made = small(
        vary={
            "traffic.users.rate": {"uniform": ["5/s", "15/s"]},
            "services.web.work.mean": {"lognormal": {"mean": "20ms", "cv": 0.2}},
            "traffic.users.retry": {"choice": ["none", {"attempts": 2}]},
            "services.web.slots": {"grid": [1, 2]},
        }
    )
    rate = made.vary["traffic.users.rate"]
    assert rate.kind == "uniform"
    assert rate.uniform is not None
    assert [bound.number for bound in rate.uniform] == [5.0, 15.0]
    assert rate.probes() == ("5/s", "10/s", "15/s")
    assert [made.vary[path].kind for path in made.vary] == ["uniform", "lognormal", "choice", "grid"]
    assert Scenario.from_dict(made.to_dict()) == made
    assert made.with_({"seed": 2}).vary == made.vary


@pytest.mark.parametrize(
    "vary",
    [
        {"services.web.slots": {"uniform": [1, 4.5]}},  # no whole number
        {"services.web.slots": {"grid": [1, 0]}},
        {"traffic.users.to": {"choice": ["web", "wep"]}},
        {"traffic.users.rate": {"uniform": ["5/s", "15s"]}},
        {"traffic.users.rate": {"normal": {"mean": "5/s", "sd": "1s"}}},
        {"traffic.users.rate": {"uniform": ["5/s", "15/s"], "grid": ["5/s"]}},
        {"traffic.users.rate": {"grid": []}},
        {"traffic.users.rat": {"grid": ["5/s"]}},
    ],
)
def test_vary_is_refused_where_a_value_does_not_fit(vary: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError) as caught:
        small(vary=vary)
    assert caught.value.key.startswith("vary.")


def test_an_error_survives_the_way_from_a_worker() -> None:
    with pytest.raises(ScenarioError) as caught:
        small(seed=-1)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.key == "seed"


def test_entries_are_named_by_id_callee_kind_and_repeat() -> None:
    entries = [
        {"crash": {}},
        {"id": "x", "crash": {}},
        {"crash": {}},
        {"id": "crash-3"},
        {"crash": {}},
        {"to": "web"},
        {},
    ]
    names = entry_names(from_plain(entries, Origin("")).value)  # type: ignore[arg-type]
    assert names == ["crash", "x", "crash-2", "crash-3", "crash-4", "web", "6"]


def test_every_key_is_described_with_an_example() -> None:
    for model, path in _models():
        for name, declared in model.model_fields.items():
            assert declared.description, f"{path}.{name} has no description"
            assert declared.description.endswith("."), f"{path}.{name}: a description is a sentence"
            assert declared.examples, f"{path}.{name} has no example"


def _models() -> list[tuple[type[BaseModel], str]]:
    found: dict[type[BaseModel], str] = {}
    waiting = [(Spot((Contents,), None), "")]
    while waiting:
        spot, path = waiting.pop()
        keys: list[str | int] = ["*", 0, *spot.keys]
        for model in spot.models:
            found.setdefault(model, path)
        waiting += [(under, f"{path}.{key}") for key in keys if (under := below(spot, key)) and path.count(".") < 8]
    assert len(found) > 30
    return list(found.items())


def test_importing_the_format_imports_nothing_slow() -> None:
    names = "{name.partition('.')[0] for name in sys.modules}"
    script = f"import sys, azsim.scenario, azsim.scenario.arithmetic; print(*{names})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert "pydantic" in done.stdout
    assert not {"numba", "numpy", "matplotlib", "pandas", "scipy"} & set(done.stdout.split())
