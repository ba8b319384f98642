"""Runs beside each other, or beside what was measured, as a page and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import write_files
from azsim.cli.runs import RESULT, Run, run_of
from azsim.cli.terminal import put, show

if TYPE_CHECKING:
    from azsim.report.document import Page
    from azsim.report.side_by_side import Side

PAGE: Final = Path("out", "comparison.html")


def columns(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Series by column of texts such as `Requests=attempts:per_period`; BadParameter says the rule."""
    found: dict[str, str] = {}
    for text in value:
        column, equals, series = text.rpartition("=")
        if not (column.strip() and equals and series.strip()):
            raise click.BadParameter(f"{text!r} is not COLUMN=SERIES, such as p99=latency_p99_s", ctx, param)
        found[column.strip()] = series.strip()
    return found


def instant(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A text that is an instant; BadParameter where it is none."""
    if value is not None:
        from azsim.calibration.measured import instant_s

        try:
            instant_s(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return value


def is_result(source: str) -> bool:
    """Whether a source is what a run left, rather than a scenario."""
    path = Path(source)
    return path.is_dir() or path.name == RESULT


def beside(first: str, second: str, changes: Mapping[str, str], page: Path, *, quiet: bool) -> ExitCode:
    """Writes the page of two runs, each of a scenario or left by an earlier run, and shows their figures."""
    from azsim.report.side_by_side import figures, side_by_side

    runs = run_of(first, changes={}, quiet=quiet), run_of(second, changes=changes, quiet=quiet)
    names = [run.scenario.name for run in runs]
    if names[0] == names[1]:
        names = [f"{names[0]} (first)", f"{names[1]} (second)"]
    one, other = (_side(run, name) for run, name in zip(runs, names, strict=True))
    written = _write(page, side_by_side(one, other))
    if not quiet:
        show(_table(("", *names), [list(row) for row in figures(one, other)]))
        put(f"\nFILES  {written}\n")
    return ExitCode.INTERRUPTED if any(run.interrupted for run in runs) else ExitCode.OK


def observed(source: str, changes: Mapping[str, str], metrics: Path, names: Mapping[str, str], zero: str | None,
             page: Path, *, as_json: bool, quiet: bool) -> ExitCode:  # fmt: skip
    """Lays measured curves over those of a run, writes the page, and shows how far the run is from them."""
    import json

    from azsim.calibration.measured import misfit, read_measured
    from azsim.report.side_by_side import MISFIT_HEAD, beside_measured, misfit_rows

    curves = read_measured(metrics, names, zero)  # first, for a mistake in it shows before the run
    run = run_of(source, changes=changes, quiet=quiet)
    side = _side(run, run.scenario.name)
    found = [misfit(curve, side.facts) for curve in curves]
    written = _write(page, beside_measured(side, found))
    if as_json:
        told: list[dict[str, Any]] = [
            {
                "column": one.curve.column,
                "series": one.curve.series,
                "periods": one.periods,
                "deviation": one.error,
                "bias": one.bias,
                "largest_at_s": one.worst_s,
            }
            for one in found
        ]
        put(json.dumps({"scenario": run.scenario.name, "misfit": told}, allow_nan=False) + "\n")
    elif not quiet:
        show(_table(MISFIT_HEAD, misfit_rows(found)))
        put(f"\nFILES  {written}\n")
    return ExitCode.INTERRUPTED if run.interrupted else ExitCode.OK


def _side(run: Run, name: str) -> Side:
    from azsim.report.side_by_side import Side

    return Side(name, run.result.to_dict(), run.scenario)


def _write(path: Path, page: Page) -> Path:
    from azsim.report.document import html

    (written,) = write_files(path.parent, {path.name: html(page).encode()})
    return written


def _table(head: tuple[str, ...], rows: list[list[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3, 0, 0))
    for _ in head:
        table.add_column(overflow="fold")
    table.add_row(*(Text(name, style="bold") for name in head))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
