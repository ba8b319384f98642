"""Replicates as a table in a file: the same bytes for the same rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from azsim.base.errors import AzsimError, ExitCode
from azsim.study.row import COLUMNS, Row

if TYPE_CHECKING:
    from pandas import DataFrame


class ExportError(AzsimError):
    """A table that cannot be written in a format."""

    exit_code = ExitCode.BAD_INPUT


def table(rows: Iterable[Row], more: Sequence[Mapping[str, Any]] | None = None) -> DataFrame:
    """Rows as a table, in the order given (a store gives them by key), behind columns of one's own.

    A column has the same type whatever it holds: nothing is a NaN.
    """
    import pandas

    rows = list(rows)
    frame = pandas.DataFrame([row.values for row in rows], columns=list(COLUMNS))
    frame = frame.astype({field.name: "float64" for field in fields(Row) if field.type == "float | None"})
    return frame if not more else pandas.concat([pandas.DataFrame(list(more)), frame], axis="columns")


def as_csv(frame: DataFrame) -> bytes:
    """The table as CSV; floats are written so that they read back exactly, nothing is an empty field."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def as_parquet(frame: DataFrame) -> bytes:
    """The table as Parquet; ExportError where pyarrow (the extra `azsim[parquet]`) is not there."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ExportError("Parquet needs pyarrow: pip install 'azsim[parquet]'; CSV needs nothing") from None
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow")
    return buffer.getvalue()
