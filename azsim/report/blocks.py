"""What wraps as a whole where the width is short: columns go on in a block below, items on the next line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

_COLUMN_WIDTH_MIN: Final = 6
_GAP: Final = 2
_BETWEEN_ITEMS: Final = "    "


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

    @property
    def width(self) -> int:
        """Characters it takes, with the gap to its left."""
        return max(_COLUMN_WIDTH_MIN, cell_len(self.name), *(cell_len(cell.text) for cell in self.cells)) + _GAP


@dataclass(frozen=True, slots=True)
class Blocks:
    """Labels at the left, columns beside them."""

    labels: Sequence[str]
    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draws the blocks."""
        label_width = max(map(cell_len, self.labels)) + 1
        room = options.max_width - label_width
        for number, block in enumerate(self._blocks(room)):
            if number:
                yield Text()
            table = Table.grid(padding=0)
            table.add_column(width=label_width, no_wrap=True)
            for column in block:
                table.add_column(width=column.width, justify="right", no_wrap=True)
            table.add_row("", *(Text(column.name, style="bold") for column in block))
            for row, label in enumerate(self.labels):
                cells = [column.cells[row] for column in block]
                table.add_row(label, *(Text(cell.text, style="bold red" if cell.bad else "") for cell in cells))
            yield table

    def _blocks(self, room: int) -> Iterator[list[Column]]:
        """The columns in blocks, each at most `room` characters wide or a single column."""
        block: list[Column] = []
        for column in self.columns:
            if block and sum(other.width for other in block) + column.width > room:
                yield block
                block = []
            block.append(column)
        if block:
            yield block


@dataclass(frozen=True, slots=True)
class Items:
    """Texts beside one another, none of them broken over lines unless it is wider than all there is."""

    texts: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draws the lines."""
        line = ""
        for text in self.texts:
            longer = f"{line}{_BETWEEN_ITEMS}{text}" if line else text
            if line and cell_len(longer) > options.max_width:
                yield Text(line)
                longer = text
            line = longer
        yield Text(line)
