"""CSV files that a scenario names: columns of quantities, with units or as plain numbers, and of names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from azsim.base.errors import ScenarioError
from azsim.base.units import UnitError, parse_duration, parse_rate
from azsim.scenario.fields import NAME_PATTERN
from azsim.scenario.loader import decode, read_bytes
from azsim.scenario.tree import Node, Origin, scalar, shown

ROWS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column of quantities: `name` when its cells carry units, `plain_name` when they are numbers of `unit`; or of
    names, with one name either way.
    """

    name: str
    plain_name: str
    unit: str
    parse: Callable[[object], object]


def _parse_name(cell: object) -> str:
    if not re.fullmatch(NAME_PATTERN, str(cell)):
        raise UnitError("must be a name: small letters, digits and -, a letter first", "browse")
    return str(cell)


AT: Final = Column("at", "at_s", "s", parse_duration)
RATE: Final = Column("rate", "rate_per_s", "/s", parse_rate)
OPERATION: Final = Column("operation", "operation", "", _parse_name)
WORK: Final = Column("work", "work_s", "s", parse_duration)


def read_rows(
    name: Node, key: str, folder: FilePath, columns: tuple[Column, ...], optional: tuple[Column, ...] = ()
) -> list[tuple[Node, ...]]:
    """The cells of a CSV file with exactly these columns, and perhaps the optional ones after them, as texts with
    units; ScenarioError names file and line.

    `name` holds the file's name and `key` is the dotted path it stands at. The file is looked for beside the
    scenario file that names it, or in `folder` where no file does.
    """
    file = (FilePath(name.origin.file).parent if name.origin.line else folder) / str(name.value)
    text = decode(read_bytes(file, name.origin, key), str(file))
    return list(_Table(str(file), key, columns, optional).rows(text))


class _Table:
    """One CSV file being read."""

    def __init__(self, file: str, key: str, columns: tuple[Column, ...], optional: tuple[Column, ...]) -> None:
        self.file = file
        self.key = key
        self.columns = columns
        self.with_units = [column.name for column in columns]
        self.plain = [column.plain_name for column in columns]
        self.optional = optional

    def rows(self, text: str) -> Iterator[tuple[Node, ...]]:
        """The rows after the header."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header: list[str] = []
        count = 0
        try:
            for raw in reader:
                cells = [cell.strip() for cell in raw]
                if not any(cells):
                    continue
                if not header:
                    header = self.header(cells, reader.line_num)
                    continue
                count += 1
                if count > ROWS_MAX:
                    raise self.error(reader.line_num, f"a file holds at most {ROWS_MAX} rows")
                yield self.row(cells, header[: len(self.plain)] == self.plain, reader.line_num)
        except csv.Error as error:
            raise self.error(reader.line_num, f"not CSV: {error}") from None
        if not count:
            raise self.error(1, "the file holds no rows")

    def header(self, cells: list[str], line: int) -> list[str]:
        """The first row, which must name the columns."""
        more = [column.name for column in self.optional]
        if more and cells in ([*self.with_units, *more], [*self.plain, *more]):
            self.columns = (*self.columns, *self.optional)
        elif cells not in (self.with_units, self.plain):
            rule = f"the first row names the columns: {','.join(self.with_units)} or {','.join(self.plain)}"
            rule += f"; {','.join(more)} may follow" if more else ""
            raise self.error(line, rule, shown(",".join(cells)))
        return cells

    def row(self, cells: list[str], is_plain: bool, line: int) -> tuple[Node, ...]:
        """The cells of one row, with units."""
        if len(cells) != len(self.columns):
            raise self.error(line, f"a row has {len(self.columns)} cells", str(len(cells)))
        nodes = []
        for cell, column in zip(cells, self.columns, strict=True):
            quantity = cell + column.unit if is_plain else cell
            try:
                column.parse(quantity)
            except UnitError as error:
                name, rule, example = column.name, error.rule, error.example
                if is_plain:
                    name, example = column.plain_name, "1.5"
                    rule = rule if cell.startswith("-") or not column.unit else "must be a plain number"
                    example = example if column.unit else error.example
                raise self.error(line, rule, shown(cell), f"{self.key}.{name}", example) from None
            nodes.append(scalar(quantity, Origin(self.file, line, 1)))
        return tuple(nodes)

    def error(self, line: int, rule: str, value: str = "", key: str = "", example: str = "") -> ScenarioError:
        return ScenarioError(
            rule,
            file=self.file,
            line=line,
            column=1,
            key=key or self.key,
            value=value,
            example=example or ",".join(self.with_units),
        )
