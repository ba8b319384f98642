"""Measure azsim beside the yardsticks, in one run and interleaved, and hold the figures against the goals."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import tools
from benchmarks.goals import GOALS
from benchmarks.tools import Figures, Tool

HISTORY = tools.FOLDER / "history.jsonl"
WORKS = {"w1a": "W1a: nothing breaks", "w1b": "W1b: a zone is lost, a retry storm"}
TIERS = "tiers"  # azsim alone: neither yardstick has more than one tier
FLEET = "fleet"  # not measured with --quick: it takes a minute or two
AGREEMENT_SEEDS = {"w1a": 20, "w1b": 100}
FIRST_SEED = 1

Speeds = dict[str, dict[str, list[float]]]  # work -> tool -> requests per second, a figure for each round


def measure_speed(contestants: list[Tool], rounds: int, console: Console) -> Speeds:
    """Requests per wall-clock second of simulation.

    In each round every tool has its turn, so that a busy or a throttled machine slows all of them.
    """
    speeds: Speeds = {work: {tool.name: [] for tool in contestants} for work in WORKS}
    for k in range(rounds):
        for work in WORKS:
            for tool in contestants:
                figures = tool.measure(work, FIRST_SEED + k * tool.replications, tool.replications)
                rate_per_s = figures["requests"] / figures["wall_s"]
                speeds[work][tool.name].append(rate_per_s)
                console.print(f"round {k + 1}/{rounds}  {work}  {tool.name:8}{rate_per_s:14,.0f} requests/s")
    return speeds


def speed_figures(speeds: Speeds) -> Figures:
    """Medians and, for azsim, their ratios to the yardsticks' medians."""
    figures: Figures = {}
    for work, by_tool in speeds.items():
        medians = {name: statistics.median(rates) for name, rates in by_tool.items()}
        for name, rate_per_s in medians.items():
            figures[f"{work}.{name.split()[0].lower()}_requests_per_s"] = rate_per_s
        if "azsim" in medians:
            if "SimPy" in medians:
                figures[f"{work}.x_simpy"] = medians["azsim"] / medians["SimPy"]
            if "C event" in medians:
                figures[f"{work}.of_c"] = medians["azsim"] / medians["C event"]
    return figures


def speed_table(speeds: Speeds, rounds: int) -> Table:
    """One row for each work and tool."""
    table = Table(title=f"Requests simulated per second, {rounds} rounds")
    for column in ("work", "tool", "median", "lowest", "highest", "x SimPy", "of C event"):
        table.add_column(column, justify="left" if column in ("work", "tool") else "right")
    for work, by_tool in speeds.items():
        medians = {name: statistics.median(rates) for name, rates in by_tool.items()}
        for name, rates in by_tool.items():
            ratios = [
                f"{medians[name] / medians[base]:{form}}" if base in medians else "-"
                for base, form in (("SimPy", ".3g"), ("C event", ".2g"))
            ]
            rates_per_s = [f"{rate:,.0f}" for rate in (medians[name], min(rates), max(rates))]
            table.add_row(work, name, *rates_per_s, *ratios)
        table.add_section()
    return table


def measure_tiers(azsim: Tool, rounds: int, console: Console) -> Figures:
    """Attempts at all tiers per second of one core; the median of the rounds."""
    rates_per_s = []
    for k in range(rounds):
        figures = azsim.measure(TIERS, FIRST_SEED + k * azsim.replications, azsim.replications)
        rates_per_s.append(figures["attempts"] / figures["cpu_s"])
        console.print(f"round {k + 1}/{rounds}  {TIERS}  azsim{rates_per_s[-1]:14,.0f} attempts per CPU second")
    return {f"{TIERS}.attempts_per_cpu_s": statistics.median(rates_per_s)}


def measure_fleet(console: Console) -> Figures:
    """What the control plane of a thousand instances takes of the processor time of a hundred million requests."""
    command = [sys.executable, "-m", "benchmarks.control_share", str(tools.FOLDER / f"{FLEET}.yaml"), str(FIRST_SEED)]
    done = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    console.print(f"{FLEET}  control takes {figures['control_share']:.1%} of {figures['cpu_s']:.0f} CPU seconds")
    return {f"{FLEET}.{name}": figures[name] for name in ("control_share", "requests")}


def measure_agreement(contestants: list[Tool]) -> tuple[Table, Figures]:
    """azsim draws other random numbers than the yardsticks, so it agrees in the mean over many seeds, not in counts."""
    table = Table(title="The same world: mean over seeds +- standard error")
    for column in ("work", "seeds", "tool", "goodput /s", "mean latency ms"):
        table.add_column(column, justify="left" if column in ("work", "tool") else "right")
    figures: Figures = {}
    for work, count in AGREEMENT_SEEDS.items():
        for tool in contestants:
            if tool.replications == 1:
                continue  # SimPy would take an hour
            got = tool.measure(work, FIRST_SEED, count)
            goodput_per_s, latency_ms = got["goodput_per_s"], got["latency_s_mean"] * 1e3
            table.add_row(
                work,
                str(count),
                tool.name,
                f"{goodput_per_s:.1f} +- {got['goodput_per_s_se']:.1f}",
                f"{latency_ms:.3f} +- {got['latency_s_mean_se'] * 1e3:.3f}",
            )
            if tool.name == "azsim":
                figures[f"{work}.goodput_per_s"] = goodput_per_s
                figures[f"{work}.latency_ms_mean"] = latency_ms
                figures[f"{work}.memory_mb"] = got["memory_mb"]
    return table, figures


def measure_commands(repetitions: int) -> Figures:
    """Wall clock and peak memory of commands as a person waits for them, files and caches warm."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="azsim-benchmark-") as folder:
        commands = {
            "help": tools.azsim_command("--help"),
            "million": tools.azsim_command("run", str(tools.FOLDER / "million.yaml"), "--out", folder),
            "orphans": tools.azsim_command("run", str(tools.FOLDER / "orphans.yaml"), "--no-replays", "--out", folder),
        }
        for name, command in commands.items():
            tools.time_command(command)
            runs = [tools.time_command(command) for _ in range(repetitions)]
            figures[f"{name}.wall_s"] = statistics.median(run["wall_s"] for run in runs)
            figures[f"{name}.memory_mb"] = max(run["memory_mb"] for run in runs)
    return figures


def goal_table(figures: Figures) -> Table:
    """Every goal, whether it was measured or not."""
    table = Table(title="Goals")
    for column in ("figure", "measured", "goal", "met?"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, goal in GOALS.items():
        if name not in figures:
            table.add_row(name, "-", str(goal), "not measured")
        else:
            met = "[green]yes[/]" if goal.met_by(figures[name]) else "[bold red]NO[/]"
            table.add_row(name, f"{figures[name]:.4g}", str(goal), met)
    for name in sorted(figures):
        if name.endswith("memory_mb"):
            table.add_row(name, f"{figures[name]:.0f}", "-", "")
    return table


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.partition("\n")[0].strip()


def machine() -> dict[str, Any]:
    """What the figures depend on, without a date or a host's name."""
    cpu = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": cpu or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "gcc": _first_line("gcc", "-dumpfullversion"),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in ("numba", "numpy", "simpy")},
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Rounds of the speed measurement.")
@click.option("--quick", is_flag=True, help="One round, in a minute; not written to the history.")
@click.option("--check", is_flag=True, help="Exit 1 when a goal is missed or could not be measured.")
@click.option(
    "--only",
    type=click.Choice(["yardsticks", "azsim"]),
    help="Leave the other side out; then there are no ratios, and nothing is written to the history.",
)
def main(rounds: int, quick: bool, check: bool, only: str | None) -> None:
    """Measure azsim beside SimPy and a C event loop, and hold the figures against the goals."""
    try:
        measure(rounds, quick, check, only)
    except tools.ToolError as error:
        raise click.ClickException(str(error)) from error


def measure(rounds: int, quick: bool, check: bool, only: str | None) -> None:
    """The measurements that the command's options ask for, printed and kept."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    rounds = 1 if quick else rounds
    if (load := os.getloadavg()[0]) > 0.5:
        console.print(
            f"[bold red]The machine is busy (load {load:.1f}): ratios will be rough, wall clocks too long.[/]"
        )
    with tempfile.TemporaryDirectory(prefix="azsim-benchmark-") as folder:
        contestants = []
        program = None
        if only != "azsim":
            contestants.append(tools.simpy())
            program = tools.build_c(Path(folder))
            if program:
                contestants.append(tools.c_event(program))
            else:
                console.print("[bold red]No gcc here: the C event loop is SKIPPED, and so are the goals against it.[/]")
        if only != "yardsticks":
            contestants.append(tools.azsim())
        for work, meaning in WORKS.items():
            console.print(f"{work}: {meaning}")
        speeds = measure_speed(contestants, rounds, console)
        agreement, figures = measure_agreement(contestants)
    figures |= speed_figures(speeds)
    if only != "yardsticks":
        console.print(f"{TIERS}: three tiers, budgets and breakers at every hop, a zone lost")
        figures |= measure_tiers(tools.azsim(), rounds, console)
        if not quick:
            figures |= measure_fleet(console)
        figures |= measure_commands(1 if quick else 5)
    console.print()
    console.print(speed_table(speeds, rounds))
    console.print(agreement)
    console.print(goal_table(figures))
    if program and not (quick or only):
        commit = _first_line("git", "describe", "--always", "--dirty")
        rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
        line = {"commit": commit, "rounds": rounds, "machine": machine(), "figures": rounded}
        with HISTORY.open("a", encoding="utf-8") as history:
            history.write(json.dumps(line, sort_keys=True) + "\n")
        console.print(f"Appended to {HISTORY.relative_to(tools.ROOT)}.")
    missed = [name for name, goal in GOALS.items() if name not in figures or not goal.met_by(figures[name])]
    if check and missed:
        sys.exit(1)
