"""A table of a few columns that wraps: where the width is short, the columns go on in a block below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

_COLUMN_WIDTH_MIN: Final = 8
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry; a bad one stands out."""

    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A named column, one cell for each label of its table."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Labels at the left, columns beside them."""

    labels: Sequence[str]
    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draws the blocks."""
        label_width = max(map(cell_len, self.labels)) + 1
        texts = [text for column in self.columns for text in (column.name, *(cell.text for cell in column.cells))]
        width = max(_COLUMN_WIDTH_MIN, *map(cell_len, texts)) + _GAP
        each = max(1, (options.max_width - label_width) // width)
        for first in range(0, len(self.columns), each):
            if first:
                yield Text()
            block = self.columns[first : first + each]
            table = Table.grid(padding=0)
            table.add_column(width=label_width, no_wrap=True)
            for _ in block:
                table.add_column(width=width, justify="right", no_wrap=True)
            table.add_row("", *(Text(column.name, style="bold") for column in block))
            for row, label in enumerate(self.labels):
                cells = [column.cells[row] for column in block]
                table.add_row(label, *(Text(cell.text, style="bold red" if cell.bad else "") for cell in cells))
            yield table
