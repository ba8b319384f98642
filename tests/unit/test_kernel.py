"""What is the kernel's own: memory that grows, its limit, its cache of compiled code, and independence of all else.

That it computes what the reference does is for the twin tests.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import azsim
from azsim.base import jit
from azsim.base.errors import LimitError
from azsim.base.seeds import run_key
from azsim.dataplane import kernel as kernel_module
from azsim.dataplane.codes import INFINITE, InstanceState, Outcome, Reason
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import OFFERED, SUCCEEDED, Plan, Recording
from azsim.dataplane.state import CALL, ENTRY, JOB, NODE
from azsim.policy import retry
from azsim.policy.distributions import EXPONENTIAL
from azsim.scenario import Scenario
from tests.plans import MS, S, call, make_plan, population, service
from tests.shop import SHOP, story
from tests.twin.worlds import differences

ROOT = Path(__file__).resolve().parents[2]


def overloaded(seed: int = 1, **hop: Any) -> Plan:
    """Two tiers at five times what they can serve, so that calls, jobs and timers by the thousand are in progress."""
    retries = {
        "attempts": 3,
        "timeout_ns": 300 * MS,
        "retry_on": (Outcome.TIMEOUT, Outcome.OVERLOAD),
        "backoff": retry.FULL,
        "backoff_base_ns": 50 * MS,
        "backoff_factor": 2.0,
        "backoff_cap_ns": S,
    } | hop
    work = {"work": EXPONENTIAL, "work_a": 2.0 * MS, "work_mean_ns": 2.0 * MS}
    probes = {"health": 1, "interval_ns": 50 * MS, "probe_timeout_ns": 20 * MS}
    return make_plan(
        populations=[population("front", rate_per_s=10_000.0, **retries)],
        services=[
            service("front", per_zone=2, slots=4, queue=INFINITE, calls=[call("back", timeout_ns=100 * MS)], **work),
            service("back", per_zone=1, slots=2, queue=300, **probes, **work),
        ],
        key=run_key(seed),
        same_zone_ns=MS // 4,
        cross_zone_ns=MS,
    )


def played(plan: Plan, kernel: Kernel | None = None) -> Recording:
    """A second with a row every 10 ms, in which much goes wrong; notices change the view at once."""
    kernel = kernel or Kernel(plan)
    actions: dict[int, Callable[[], None]] = {
        300 * MS: lambda: kernel.set_instance_state(0, InstanceState.PAUSED, 500),
        400 * MS: lambda: kernel.set_instance_state(4, InstanceState.CRASHED, 0),
        500 * MS: lambda: kernel.set_instance_state(0, InstanceState.UP, 0),
        600 * MS: lambda: kernel.set_instance_state(4, InstanceState.UP, 0),
        800 * MS: kernel.reset,
    }
    for edge_ns in range(10 * MS, S + 1, 10 * MS):
        while kernel.advance(edge_ns) == Reason.NOTICE:
            for notice in kernel.take_notices():
                kernel.set_view(notice.instance, notice.healthy)
        actions.get(edge_ns, lambda: None)()
        kernel.cut_row()
    kernel.check()
    return kernel.finish()


def held(kernel: Kernel, name: str) -> int:
    return len(kernel._pools[name])


# --- memory --------------------------------------------------------------------------------------------------------


def test_pools_that_begin_tiny_give_what_large_ones_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """They grow in the midst of everything, over and over; nobody notices."""

    memory = kernel_module.Memory
    results, first, last = {}, {}, {}
    for name, records in (("tiny", 4), ("large", 1 << 16)):
        lengths = {CALL: records, JOB: records, NODE: 2 * records, ENTRY: 2 * records}
        monkeypatch.setattr(
            kernel_module,
            "Memory",
            lambda length, dtype, lengths=lengths: memory(lengths.get(np.dtype(dtype), length), dtype),
        )
        kernel = Kernel(overloaded())
        first[name] = [held(kernel, pool) for pool in ("calls", "jobs", "nodes")]
        results[name] = played(overloaded(), kernel)
        last[name] = [held(kernel, pool) for pool in ("calls", "jobs", "nodes")]
    assert differences(results["tiny"], results["large"]) == []
    assert max(first["tiny"]) < 100
    assert min(last["tiny"]) > 500
    assert first["large"] == last["large"]
    monkeypatch.undo()
    assert differences(results["tiny"], played(overloaded())) == []


def filled(limit_mib: int, plan: Plan, rows: int = 1) -> tuple[str, Kernel]:
    """The message of a run that reaches its memory limit."""
    kernel = Kernel(plan, memory_limit_bytes=limit_mib << 20)
    try:
        for row in range(rows):
            kernel.advance(100 * S * (row + 1) // rows)
            kernel.cut_row()
    except LimitError as error:
        return str(error), kernel
    raise AssertionError("the limit was not reached")


def backlog(**hop: Any) -> Plan:
    """A million requests a second to a slot that never frees."""
    return make_plan(
        populations=[population(rate_per_s=1e6, **hop)],
        services=[service(per_zone={"a": 1}, slots=1, queue=INFINITE, work_ns=10_000 * S)],
        shared_cpu=False,
    )


def test_a_limit_names_what_filled_it() -> None:
    """Orphans are attempts; requests without a timeout are both; timers wait for a far-off deadline; rows are time."""
    orphans, _ = filled(40, backlog(timeout_ns=MS))
    assert "memory limit of 40 MiB" in orphans
    assert "largest: jobs" in orphans
    waiting, kernel = filled(40, backlog())
    counts = {word: int(n.replace(",", "")) for n, word in _counts(waiting)}
    offered = counts["requests and calls in progress"]
    assert offered > 50_000
    assert abs(counts["attempts queued, in service or answered"] - offered) <= 1
    assert f"at {kernel.now_ns / 1e9:.3f} s of simulated time" in waiting
    assert abs(kernel.now_ns / 1e9 * 1e6 - offered) < 6 * offered**0.5
    series, _ = filled(8, make_plan(populations=[population(rate_per_s=1.0)], services=[service(work_ns=1)]), rows=5000)
    assert "largest: latency_rows" in series
    for message in (orphans, waiting, series):
        assert "--memory" in message
        assert "\n" not in message


def _counts(message: str) -> list[tuple[str, str]]:
    """(number, of what) as listed after `held:`."""
    listed = message.split("held: ")[1].split(")")[0]
    parts = [part.strip() for part in listed.replace("attempts queued, in", "attempts queued; in").split(", ")]
    return [(n, what.replace(";", ",")) for n, _, what in (part.partition(" ") for part in parts)]


def test_a_limit_is_kept() -> None:
    """The pools never take more than it, and nearly all of what it allows is used: a pool that doubles needs twice."""
    for limit_mib in (10, 40):
        _, kernel = filled(limit_mib, backlog(timeout_ns=MS))
        used = sum(pool.nbytes for pool in kernel._pools.values())
        assert limit_mib * 2**20 / 3 < used <= limit_mib * 2**20
        kernel.check()


ORPHANS = """
from pathlib import Path
from azsim.dataplane.layout import FAILED
from tests.unit.test_kernel import MS, Kernel, Outcome, S, backlog

def status(name):
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024

warm = Kernel(backlog(timeout_ns=MS))
warm.advance(MS)
before = status("VmRSS")
kernel = Kernel(backlog(timeout_ns=MS))
kernel.advance(S + S // 100)
print(status("VmHWM") - before, end=" ")
totals = kernel.finish().populations.sum(axis=(0, 1))
print(int(totals[FAILED + Outcome.TIMEOUT]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory as Linux shows it")
def test_a_million_orphans_fit_in_600_mb() -> None:
    """The most the process ever held, over what it held before: what growing pools need for a moment is in it."""
    grown, orphans = map(int, python(ORPHANS).split())
    print(f"{orphans:,} orphans in {grown / 1e6:.0f} MB")
    assert orphans > 1_000_000
    assert 50e6 < grown < 600e6


# --- determinism ---------------------------------------------------------------------------------------------------


def python(script: str, **environment: str) -> str:
    """What a script prints that runs in a process of its own, in the repository."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TELL = """
import json, sys
from azsim.scenario import Scenario
from tests.shop import SHOP, story
sys.stdout.write(json.dumps(story(Scenario.from_dict(SHOP))))
"""


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_process_writes_the_same_bytes(hash_seed: str) -> None:
    """Sets and dicts of strings come in another order there; memory lies elsewhere."""
    assert python(TELL, PYTHONHASHSEED=hash_seed) == json.dumps(story(Scenario.from_dict(SHOP)))


def test_chunks_and_engines_give_the_same_bytes() -> None:
    scenario = Scenario.from_dict(SHOP)
    plain = json.dumps(story(scenario))
    assert json.dumps(story(scenario, paranoid=True)) == plain
    assert json.dumps(story(scenario, engine="reference")) == plain


def test_a_result_is_the_same_bytes_but_for_the_clock() -> None:
    """`to_json` of two runs: only the engine's name and wall times may differ, and nothing else does."""
    one, other = (azsim.run(Scenario.from_dict(SHOP), replays=False) for _ in range(2))
    assert (
        replace(one, wall_s=0.0, requests_per_wall_s=None).to_json()
        == replace(other, wall_s=0.0, requests_per_wall_s=None).to_json()
    )


def test_two_threads_at_once_give_what_one_after_the_other_gives() -> None:
    """The kernel runs without the interpreter's lock; kernels share nothing."""
    plans = [overloaded(seed) for seed in range(6)]
    alone = [played(plan) for plan in plans]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(played, plans))
    for one, other in zip(together, alone, strict=True):
        assert differences(one, other) == []
    assert differences(alone[0], alone[1]) != []
    assert all(recording.populations[..., SUCCEEDED].sum() > 100 for recording in alone)
    assert all(recording.populations[..., OFFERED].sum() > 9000 for recording in alone)


# --- the cache of compiled code ------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's sources, from which cache_folder() now takes its hash."""
    package = tmp_path / "azsim"
    shutil.copytree(ROOT / "azsim", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(jit, "__file__", str(package / "base" / "jit.py"))
    return package


def test_a_copy_shares_the_cache(copy: Path) -> None:
    folder = jit.cache_folder()
    for file in copy.rglob("*.py"):
        os.utime(file, (0, 0))
    assert jit.cache_folder() == folder
    (copy / "report" / "card.py").write_text("# not compiled\n", encoding="utf-8")
    assert jit.cache_folder() == folder


@pytest.mark.parametrize(
    "source", ["dataplane/caller.py", "dataplane/codes.py", "policy/retry.py", "base/seeds.py", "base/jit.py"]
)
def test_a_changed_source_has_a_cache_of_its_own(copy: Path, source: str) -> None:
    """numba itself would serve stale code for a change in a callee."""
    folder = jit.cache_folder()
    with (copy / source).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert jit.cache_folder() != folder


def test_a_new_and_a_renamed_source_have_caches_of_their_own(copy: Path) -> None:
    folders = {jit.cache_folder()}
    (copy / "policy" / "shedding.py").write_text("", encoding="utf-8")
    folders.add(jit.cache_folder())
    (copy / "policy" / "shedding.py").rename(copy / "policy" / "throttling.py")
    folders.add(jit.cache_folder())
    assert len(folders) == 3


def test_the_hash_covers_all_that_compiled_code_can_see() -> None:
    """What the data plane and the policies import of azsim is hashed, or has no part in what they compute."""
    hashed = {"base.jit", "base.seeds"}
    harmless = {"base.errors", "base.sums"}
    for folder in ("dataplane", "policy"):
        for file in (ROOT / "azsim" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("azsim."):
                    name = str(node.module).removeprefix("azsim.")
                    if name.split(".")[0] not in ("dataplane", "policy"):
                        assert name in hashed | harmless, f"{file.name} imports {name}: add it to jit._SOURCES"


def test_the_cache_goes_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AZSIM_CACHE_DIR", str(tmp_path))
    assert jit.cache_folder().parent == tmp_path
    monkeypatch.delenv("AZSIM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jit.cache_folder().parent == tmp_path / "azsim"
