"""From the tree as written to the tree that stands by itself: CSV files read, overrides completed, faults named."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final

from azsim.base.errors import ScenarioError
from azsim.base.units import UnitError, parse_duration, parse_rate
from azsim.scenario.loader import decode, read_bytes
from azsim.scenario.paths import entry_names
from azsim.scenario.service import Instance
from azsim.scenario.tree import Node, Origin, mapping, merged, scalar, sequence, shown

ROWS_MAX: Final = 100_000
_INSTANCE_KEYS: Final = frozenset(Instance.model_fields)

_Column = tuple[str, str, str, Callable[[object], float]]
# Name with units, name of plain numbers, the unit those are in, and the parser of the text with unit.
_AT: Final[_Column] = ("at", "at_s", "s", parse_duration)
_RATE: Final[_Column] = ("rate", "rate_per_s", "/s", parse_rate)
_WORK: Final[_Column] = ("work", "work_s", "s", parse_duration)


def with_files(tree: Node, folder: FilePath) -> Node:
    """The tree with every CSV file replaced by what it holds.

    A file is looked for beside the scenario file that names it; in `folder` where no file does (`--set`).
    Anything that does not look as it should is left for validation to refuse.
    """
    tree = _changed(tree, ("traffic", "*", "rate"), lambda node: _rate(node, folder))
    for path in (("services", "*", "work"), ("services", "*", "overrides", "*", "work")):
        tree = _changed(tree, path, lambda node: _work(node, folder))
    return tree


def completed(tree: Node) -> Node:
    """The tree with overrides that hold every key of an instance, and with an id on every fault."""
    tree = _changed(tree, ("services", "*"), _with_whole_overrides)
    return _changed(tree, ("faults",), _with_ids)


def _changed(node: Node, path: tuple[str, ...], change: Callable[[Node], Node]) -> Node:
    """The tree with `change` applied to what stands at `path`, where `*` is every key."""
    if not path:
        return change(node)
    if not isinstance(node.value, dict):
        return node
    children = {
        key: _changed(child, path[1:], change) if path[0] in ("*", key) else child for key, child in node.value.items()
    }
    return mapping(children, node.origin, node.key_origin)


def _with_whole_overrides(service: Node) -> Node:
    if not isinstance(service.value, dict):
        return service
    own = {key: child for key, child in service.value.items() if key in _INSTANCE_KEYS}
    base = mapping(own, service.origin)
    return _changed(service, ("overrides", "*"), lambda override: _laid_over(base, override))


def _laid_over(base: Node, override: Node) -> Node:
    return merged(base, override) if isinstance(override.value, dict) else override


def _with_ids(faults: Node) -> Node:
    if not isinstance(faults.value, list):
        return faults
    entries = []
    for entry, name in zip(faults.value, entry_names(faults.value), strict=True):
        if isinstance(entry.value, dict) and "id" not in entry.value and not name.isdigit():
            children = {"id": scalar(name, entry.origin), **entry.value}
            entry = mapping(children, entry.origin, entry.key_origin)
        entries.append(entry)
    return sequence(entries, faults.origin, faults.key_origin)


def _csv_name(node: Node) -> Node | None:
    """The node of a file's name in `{csv: name}`."""
    name = node.value.get("csv") if isinstance(node.value, dict) else None
    return name if name is not None and isinstance(name.value, str) and not name.is_nothing else None


def _rate(node: Node, folder: FilePath) -> Node:
    name = _csv_name(node)
    if name is None or not isinstance(node.value, dict) or len(node.value) > 1:
        return node
    points = [mapping({"at": at, "rate": rate}, at.origin) for at, rate in _rows(name, folder, (_AT, _RATE))]
    return sequence(points, name.origin, node.key_origin)


def _work(node: Node, folder: FilePath) -> Node:
    name = _csv_name(node)
    if name is None or not isinstance(node.value, dict) or "values" in node.value:
        return node
    children = {key: child for key, child in node.value.items() if key != "csv"}
    values = [work for (work,) in _rows(name, folder, (_WORK,))]
    children["values"] = sequence(values, name.origin, name.key_origin)
    return mapping(children, node.origin, node.key_origin)


def _rows(name: Node, folder: FilePath, columns: tuple[_Column, ...]) -> list[tuple[Node, ...]]:
    """The rows of a CSV file with exactly the given columns, as texts with units."""
    file = (FilePath(name.origin.file).parent if name.origin.line else folder) / str(name.value)
    text = decode(read_bytes(file, name.origin, "csv"), str(file))
    units = [",".join(column[0] for column in columns), ",".join(column[1] for column in columns)]
    example = units[0]

    def refuse(line: int, rule: str, value: str = "", key: str = "", shown_example: str = example) -> ScenarioError:
        return ScenarioError(
            rule, file=str(file), line=line, column=1, key=key or "csv", value=value, example=shown_example
        )

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[Node, ...]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                if ",".join(header) not in units:
                    raise refuse(
                        reader.line_num,
                        f"the first row names the columns: {' or '.join(units)}",
                        shown(",".join(cells)),
                    )
                continue
            if len(cells) != len(columns):
                raise refuse(reader.line_num, f"a row has {len(columns)} cells", str(len(cells)))
            if len(rows) == ROWS_MAX:
                raise refuse(reader.line_num, f"a file holds at most {ROWS_MAX} rows")
            plain_numbers = ",".join(header) == units[1]
            row = []
            for cell, (word, plain_word, unit, parse) in zip(cells, columns, strict=True):
                quantity = cell + unit if plain_numbers else cell
                try:
                    parse(quantity)
                except UnitError as error:
                    key = plain_word if plain_numbers else word
                    rule = "must be a plain number" if plain_numbers and not cell.startswith("-") else error.rule
                    shown_example = "1.5" if plain_numbers else error.example
                    raise refuse(reader.line_num, rule, shown(cell), key, shown_example) from None
                row.append(scalar(quantity, Origin(str(file), reader.line_num, 1)))
            rows.append(tuple(row))
    except csv.Error as error:
        raise refuse(reader.line_num, f"not CSV: {error}") from None
    if not rows:
        raise refuse(1, "the file holds no rows")
    return rows
