"""A scenario from end to end, on both engines."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import azsim
from azsim.base.errors import InternalError, LimitError
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import ATTEMPTS, FAILED, IN_VIEW, OFFERED, STRESS, SUCCEEDED, TIMEOUTS, UP, Plan
from azsim.dataplane.reference import Reference
from azsim.scenario import Scenario
from azsim.simulation import planes
from azsim.simulation.planes import ENGINES
from azsim.simulation.run import simulate
from azsim.simulation.trace import Event, FaultSpan, Trace

MS = 1_000_000
LOSS = {"id": "loss", "at": "10s", "for": "10s", "zone_loss": {"zone": "c"}}


def shop(*faults: dict[str, Any], **more: Any) -> Scenario:
    """30 requests a second to three instances in three zones, probed every 2 s from 0 on; 250 us between all places."""
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "40s",
            "zones": ["a", "b", "c"],
            "network": {"same_zone": "0.25ms", "cross_zone": "0.25ms"},
            "traffic": {
                "shoppers": {"to": "web", "rate": "30/s", "timeout": "500ms", "retry": {"attempts": 3}},
            },
            "services": {
                "web": {
                    "work": {"distribution": "exponential", "mean": "20ms"},
                    "balancer": {
                        "health": {
                            "interval": "2s",
                            "timeout": "1s",
                            "unhealthy_after": 2,
                            "healthy_after": 3,
                            "phase": "0s",
                            "probe": "bypass",
                            "propagation": "500ms",
                        }
                    },
                }
            },
            "faults": list(faults),
            **more,
        }
    )


def total(trace: Trace, column: int, first_s: int = 0, end_s: int = 1000) -> int:
    """A column of the populations, summed over the rows that begin in [first_s, end_s)."""
    start_ns = trace.recording.start_ns
    rows = (start_ns >= first_s * SECOND_NS) & (start_ns < end_s * SECOND_NS)
    return int(trace.recording.populations[rows, :, column].sum())


def happened(trace: Trace) -> list[Any]:
    """By row, what happened in it; columns by start go on changing as requests end."""
    columns: list[Any] = trace.recording.populations[:, 0, [OFFERED, ATTEMPTS, SUCCEEDED, TIMEOUTS]].tolist()
    return columns


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_lost_zone_is_sensed_leaves_rotation_and_comes_back(engine: str) -> None:
    trace = simulate(shop(LOSS), engine=engine)
    # Probes of 10 s and 12 s get no answer for 1 s; of those sent on the return, 20, 22 and 24 s are answered.
    unhealthy_ns, healthy_ns = 13 * SECOND_NS, 24 * SECOND_NS + 500_000
    propagation_ns = 500 * MS
    assert trace.events == (
        Event(10 * SECOND_NS, "fault", "zone c power lost"),
        Event(unhealthy_ns, "health.web", "web-c-1 unhealthy"),
        Event(unhealthy_ns + propagation_ns, "router.web", "web-c-1 out of rotation"),
        Event(20 * SECOND_NS, "fault", "zone c power restored"),
        Event(healthy_ns, "health.web", "web-c-1 healthy"),
        Event(healthy_ns + propagation_ns, "router.web", "web-c-1 back in rotation"),
        Event(40 * SECOND_NS, "end", "the run ends"),
    )
    assert trace.view_changes == ((unhealthy_ns + propagation_ns, 2, False), (healthy_ns + propagation_ns, 2, True))
    assert trace.faults == (FaultSpan("loss", "zone_loss", "zone c power", 10 * SECOND_NS, 20 * SECOND_NS, (2,)),)
    assert trace.aborted_at_ns is None
    # A row for each second, and one from the detection on.
    starts_ns = trace.recording.start_ns.tolist()
    assert starts_ns == sorted([s * SECOND_NS for s in range(40)] + [unhealthy_ns + propagation_ns])
    zone_c = trace.recording.zones[:, 0, 2]
    assert zone_c[:, UP].tolist() == [0 if 10 * SECOND_NS <= s < 20 * SECOND_NS else 1 for s in starts_ns]
    # Read at the end of the row: that of 24 s ends with the instance back in view.
    assert [s // SECOND_NS for s, seen in zip(starts_ns, zone_c[:, IN_VIEW], strict=True) if not seen] == list(
        range(13, 24)
    )
    # A third of the requests met the dead zone until the view changed, and not after it.
    timeouts = trace.recording.hop_outcomes[0, Outcome.TIMEOUT]
    assert 0 < timeouts < total(trace, OFFERED, 10, 14)
    assert total(trace, ATTEMPTS, 15, 40) == total(trace, OFFERED, 15, 40)


def test_the_engines_agree_on_a_run_with_overlapping_faults() -> None:
    scenario = shop(
        LOSS,
        {"at": "12s", "for": "15s", "cpu_stress": {"service": "web", "load": "90%", "hosts": 2}},
        {"at": "14s", "for": "10s", "zone_loss": {"zone": "b", "mode": "blackhole"}},
        {"at": "15s", "for": "5s", "traffic_spike": {"population": "shoppers", "factor": 3}},
        {"at": "21s", "for": "2s", "pause": {"service": "web", "hosts": 2}},
        {"at": "24s", "for": "2s", "crash": {"service": "web", "zone": "b"}},
        {"at": "24s", "for": "9s", "latency": {"service": "web", "add": "30ms"}},
        {"at": "26s", "for": "3s", "error_rate": {"service": "web", "share": "30%"}},
        {"at": "27s", "zone_loss": {"zone": "a", "mode": "refuse"}},
        abort=[{"error_rate": "> 60%", "for": "3s"}],
    )
    one, other = (simulate(scenario, engine=engine, paranoid=True) for engine in ENGINES)
    assert one.events == other.events
    assert one.view_changes == other.view_changes
    assert one.faults == other.faults
    for name in (
        "start_ns",
        "populations",
        "services",
        "zones",
        "latency",
        "hop_attempts",
        "hop_outcomes",
        "in_flight",
    ):
        assert np.array_equal(getattr(one.recording, name), getattr(other.recording, name)), name
    assert len(one.view_changes) > 4


def test_faults_reach_the_data_plane(engine: str) -> None:
    spike = {"at": "10s", "for": "10s", "traffic_spike": {"population": "shoppers", "factor": 3}}
    stress = {"at": "20s", "for": "5s", "cpu_stress": {"service": "web", "load": "50%", "hosts": 1}}
    trace = simulate(shop(spike, stress), engine=engine)
    # 300 expected in 10 s and 900 during the spike: 5 standard deviations are 87 and 150.
    assert abs(total(trace, OFFERED, 0, 10) - 300) < 87
    assert abs(total(trace, OFFERED, 10, 20) - 900) < 150
    stressed = trace.recording.zones[:, 0, :, STRESS]
    # 8 threads of 50% on 8 cores, of which the service needs few: 4 cores for 5 s, in units of 2^-10 ns.
    assert stressed[20:25, 0].sum() == 5 * SECOND_NS * 4 * 1024
    assert stressed.sum() == stressed[20:25, 0].sum()


def test_an_abort_ends_the_faults_and_the_run_goes_on(engine: str) -> None:
    forever = {"at": "10s", "zone_loss": {"zone": "c", "mode": "refuse"}}
    later = {"at": "30s", "for": "5s", "zone_loss": {"zone": "a"}}
    scenario = shop(forever, later, abort=[{"instances": "< 3", "for": "4s"}])
    trace = simulate(scenario, engine=engine)
    assert trace.aborted_at_ns == 14 * SECOND_NS
    assert [(span.id, span.start_ns, span.end_ns) for span in trace.faults] == [
        ("zone_loss", 10 * SECOND_NS, 14 * SECOND_NS)
    ]
    assert trace.recording.zones[15:, 0, :, UP].min() == 1
    assert total(trace, OFFERED, 30, 40) > 100


def test_a_run_may_go_on_beyond_its_duration(engine: str) -> None:
    lasting = {"at": "10s", "zone_loss": {"zone": "c"}}
    short, long = (simulate(shop(lasting), engine=engine, until_ns=until) for until in (None, 60 * SECOND_NS))
    assert (short.end_ns, long.end_ns) == (40 * SECOND_NS, 60 * SECOND_NS)
    assert long.faults == short.faults
    assert long.faults[0].end_ns is None
    assert total(long, OFFERED, 40, 60) > 400
    assert happened(long)[: len(short.recording.start_ns)] == happened(short)
    assert long.recording.zones[-1, 0, 2, UP] == 0


def test_replays_can_reset_and_switch_retries_off(engine: str) -> None:
    slow = shop(LOSS).with_({"services.web.work.mean": "2s", "traffic.shoppers.timeout": "none"})
    plain = simulate(slow, engine=engine)
    reset = simulate(slow, engine=engine, reset_at_ns=30 * SECOND_NS)
    cancelled = FAILED + Outcome.CANCELLED
    assert total(plain, cancelled) == 0
    assert total(reset, cancelled) == total(reset, cancelled, 30, 31) > 100
    assert happened(plain)[:29] == happened(reset)[:29]
    assert happened(plain)[30:] != happened(reset)[30:]
    no_retries = simulate(shop(LOSS), engine=engine, retries_off_from_ns=11 * SECOND_NS)
    assert total(no_retries, ATTEMPTS, 10, 11) >= total(no_retries, OFFERED, 10, 11)
    assert total(no_retries, ATTEMPTS, 12, 40) == total(no_retries, OFFERED, 12, 40)
    timeouts = FAILED + Outcome.TIMEOUT
    assert total(no_retries, timeouts) > 3 * total(simulate(shop(LOSS), engine=engine), timeouts)


def test_a_seed_is_a_run(engine: str) -> None:
    def offered(**arguments: Any) -> list[int]:
        trace = simulate(shop(), engine=engine, until_ns=5 * SECOND_NS, **arguments)
        series: list[int] = trace.recording.populations[:, 0, OFFERED].tolist()
        return series

    assert offered() == offered(seed=1) == offered()
    different = [offered(), offered(seed=2), offered(replicate=1), offered(seed=2, replicate=1)]
    assert all(one != other for i, one in enumerate(different) for other in different[:i])


def test_a_trace_says_what_it_is() -> None:
    trace = simulate(shop(), engine="reference", seed=7, replicate=3, until_ns=SECOND_NS)
    assert (trace.engine, trace.seed, trace.replicate) == ("reference", 7, 3)
    assert trace.code_version.startswith(f"{azsim.__version__}+")
    assert trace.wall_s > 0
    assert total(trace, OFFERED) == total(trace, SUCCEEDED) + int(trace.recording.in_flight.sum())


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="no engine is called 'simpy'; there are kernel and reference"):
        simulate(shop(), engine="simpy")
    with pytest.raises(ValueError, match="until_ns"):
        simulate(shop(), until_ns=0)


def test_the_memory_limit_is_kept() -> None:
    with pytest.raises(LimitError):
        simulate(shop(), memory_limit_bytes=1000)


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    simulate(shop(), engine="reference", until_ns=5 * SECOND_NS, progress=told.append)
    assert told[0] == pytest.approx(0.2)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_an_interrupt_gets_through() -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(shop(), engine="reference", until_ns=5 * SECOND_NS, progress=interrupt)


class Chunky(Reference):
    """A data plane that depends on the chunks it is advanced in."""

    advances = 0

    def advance(self, until_ns: int) -> Any:
        self.advances += 1
        return super().advance(until_ns)

    def finish(self) -> Any:
        recording = super().finish()
        recording.hop_attempts[0] += self.advances
        return recording


def with_plane(monkeypatch: pytest.MonkeyPatch, plane: Any) -> None:
    def make(plan: Plan, engine: str, memory_limit_bytes: int | None) -> Any:
        return plane(plan)

    monkeypatch.setattr("azsim.simulation.run.data_plane", make)


def test_paranoid_finds_a_run_that_depends_on_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    with_plane(monkeypatch, Chunky)
    simulate(shop(), until_ns=5 * SECOND_NS)
    with pytest.raises(InternalError, match="hop_attempts differ"):
        simulate(shop(), until_ns=5 * SECOND_NS, paranoid=True)


def test_paranoid_checks_conservation_all_along(monkeypatch: pytest.MonkeyPatch) -> None:
    class Checked(Reference):
        def check(self) -> None:
            checked_ns.append(self.now_ns)
            super().check()

    checked_ns: list[int] = []
    with_plane(monkeypatch, Checked)
    simulate(shop(LOSS), until_ns=3 * SECOND_NS)
    assert checked_ns == []
    simulate(shop(LOSS), until_ns=3 * SECOND_NS, paranoid=True)
    assert checked_ns == [SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS]


def test_an_unknown_engine_has_no_data_plane() -> None:
    with pytest.raises(ValueError, match="kernel and reference"):
        planes.data_plane(simulate(shop(), until_ns=1).plan, "simpy")


def test_run_judges(tmp_path: Path) -> None:
    text = (
        "azsim: 1\nname: shop\nduration: 20s\nzones: [a, b]\n"
        "traffic: {shoppers: {to: web, rate: 20/s}}\n"
        "services: {web: {work: {distribution: constant, mean: 5ms}}}\n"
    )
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    from_file = azsim.run(file, engine="reference", seed=3)
    from_value = azsim.run(azsim.load(file), engine="reference", seed=3)
    assert from_file.verdict == "no-impact"
    assert from_file.seed == 3
    assert from_file.to_dict() | {"wall_s": 0, "requests_per_wall_s": 0} == from_value.to_dict() | {
        "wall_s": 0,
        "requests_per_wall_s": 0,
    }


def test_importing_azsim_imports_nothing_slow() -> None:
    script = "import sys, azsim; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numba", "numpy", "pandas", "pydantic", "simpy", "yaml"} & set(done.stdout.split())


def test_public_names_are_found_and_others_are_not() -> None:
    assert {name for name in dir(azsim) if name in azsim.__all__} == set(azsim.__all__)
    assert azsim.load is azsim.__getattr__("load")
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        azsim.__getattr__("lode")


def test_an_internal_error_carries_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_plane(monkeypatch, Chunky)
    built = shop(LOSS).with_({"traffic.shoppers.rate": "31/s"})
    with pytest.raises(InternalError, match="hop_attempts differ") as caught:
        azsim.run(built, seed=7, engine="reference", replays=False, paranoid=True)
    assert caught.value.message.endswith("hop_attempts differ")
    python, option, program = shlex.split(caught.value.replay_command)
    assert (python, option) == ("python", "-c")
    again: list[tuple[Scenario | str, dict[str, Any]]] = []
    monkeypatch.setattr(azsim, "run", lambda scenario, **arguments: again.append((scenario, arguments)))
    exec(program)
    ((scenario, arguments),) = again
    assert isinstance(scenario, Scenario)
    assert scenario.digest == built.digest
    assert arguments == {"seed": 7, "engine": "reference", "replays": False, "paranoid": True}


def test_the_command_names_the_file_that_was_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_plane(monkeypatch, Chunky)
    file = tmp_path / "it's a shop.yaml"
    file.write_text(json.dumps(shop(LOSS).to_dict()), encoding="utf-8")
    with pytest.raises(InternalError) as caught:
        azsim.run(file, engine="reference", paranoid=True)
    assert shlex.split(caught.value.replay_command)[2] == (
        f"import azsim; azsim.run({str(file)!r}, engine='reference', replays=True, paranoid=True)"
    )
