"""Where finished replicates are kept: one SQLite file, one row a replicate, each counted once.

A row is committed before anybody counts it, so a study that is killed loses nothing that was finished; its key is what
was run and by which code, so running it again, or merging a store that overlaps, counts nothing twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from azsim.base.errors import AzsimError, ExitCode
from azsim.study.row import COLUMNS, Row

FORMAT: Final = 1
_APPLICATION: Final = 0x617A736D  # "azsm", in the header of the file: other SQLite files are left alone
_WAIT_S: Final = 10.0  # for another process that is writing
_AT_ONCE: Final = 500  # keys in one question
_COLUMNS: Final = ", ".join(COLUMNS)
_PLACES: Final = ", ".join("?" * len(COLUMNS))
_KEY: Final = "digest, replicate, code_version"
_MATCHES: Final = " AND ".join(f"theirs.{name} IS ours.{name}" for name in COLUMNS)
_SAME_KEY: Final = " AND ".join(f"theirs.{name} = ours.{name}" for name in _KEY.split(", "))


class StoreError(AzsimError):
    """A store that cannot be used, or not now: whose fault it is, and that what it held is still there."""

    exit_code = ExitCode.BAD_INPUT


class Store:
    """Rows by key. Without a path they live in memory, as long as the store.

    Every method raises StoreError where the file is locked, full, corrupt or something else; it is then as it was
    before the call.
    """

    def __init__(self, path: str | Path | None = None, *, must_exist: bool = False) -> None:
        self.path = None if path is None else Path(path)
        if must_exist and not (self.path is not None and self.path.is_file()):
            raise StoreError(f"{self.path}: there is no such store")
        with self._told():
            self._db = sqlite3.connect(":memory:" if path is None else path, timeout=_WAIT_S, isolation_level=None)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != _APPLICATION and (tables or application):
            raise StoreError(f"{self.path}: a database of something else, not a store of azsim; name another file")
        if not tables:
            with self._transaction():
                self._db.execute(f"CREATE TABLE IF NOT EXISTS rows ({_COLUMNS}, PRIMARY KEY ({_KEY})) WITHOUT ROWID")
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            raise StoreError(f"{self.path}: a store in format {version}; this version of azsim reads format {FORMAT}")
        # A commit outlives the process at once; the death of the machine may take the last ones, but none in part.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __len__(self) -> int:
        with self._told():
            return int(self._db.execute("SELECT count(*) FROM rows").fetchone()[0])

    def __iter__(self) -> Iterator[Row]:
        """Every row, by key: the same order for the same rows, whenever they came."""
        with self._told():
            for values in self._db.execute(f"SELECT {_COLUMNS} FROM rows ORDER BY {_KEY}"):
                yield Row(*values)

    def find(self, digest: str, code_version: str, replicates: Iterable[int]) -> dict[int, Row]:
        """The rows that are there, by replicate."""
        wanted = list(replicates)
        found: dict[int, Row] = {}
        with self._told():
            for first in range(0, len(wanted), _AT_ONCE):
                some = wanted[first : first + _AT_ONCE]
                places = ", ".join("?" * len(some))
                asked = f"SELECT {_COLUMNS} FROM rows WHERE digest = ? AND code_version = ? AND replicate IN ({places})"
                for values in self._db.execute(asked, (digest, code_version, *some)):
                    row = Row(*values)
                    found[row.replicate] = row
        return found

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows, all of them or none. One that is there already stays; StoreError where it differs."""
        with self._told(), self._transaction():
            for row in rows:
                done = self._db.execute(f"INSERT OR IGNORE INTO rows ({_COLUMNS}) VALUES ({_PLACES})", row.values)
                if not done.rowcount and self.find(row.digest, row.code_version, [row.replicate]) != {
                    row.replicate: row
                }:
                    raise self._contradiction(row.digest, row.replicate)

    def merge(self, other: str | Path) -> int:
        """Take over the rows of another store; how many were new. StoreError, and nothing taken, where they differ."""
        Store(other, must_exist=True).close()  # says what is wrong with it
        if self.path is not None and self.path.samefile(other):
            raise StoreError(f"{other}: a store cannot be merged into itself")
        with self._told(), self._attached(other), self._transaction():
            differing = self._db.execute(
                f"SELECT ours.digest, ours.replicate FROM rows AS ours JOIN theirs.rows AS theirs ON {_SAME_KEY} "
                f"WHERE NOT ({_MATCHES}) LIMIT 1"
            ).fetchone()
            if differing is not None:
                raise self._contradiction(*differing)
            taken = self._db.execute(f"INSERT OR IGNORE INTO rows ({_COLUMNS}) SELECT {_COLUMNS} FROM theirs.rows")
            return taken.rowcount

    def check(self) -> None:
        """StoreError where the file is damaged."""
        with self._told():
            said = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise StoreError(f"{self.path}: the store is damaged ({said}); sqlite3 {self.path} .recover may save rows")

    def _contradiction(self, digest: str, replicate: int) -> StoreError:
        return StoreError(
            f"replicate {replicate} of scenario {digest[:12]} came out differently before, with the same code: "
            "the machines disagree, or a store was changed by hand"
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # after some errors SQLite has already undone it
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _attached(self, other: str | Path) -> Iterator[None]:
        self._db.execute("ATTACH ? AS theirs", (str(other),))
        try:
            yield
        finally:
            self._db.execute("DETACH theirs")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns SQLite's errors into messages of what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path or 'the store'}: {_advice(error)}") from error


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = {
        sqlite3.SQLITE_FULL: "the disk is full; what was finished is kept: make room and run it again",
        sqlite3.SQLITE_BUSY: f"another process has held it for {_WAIT_S:.0f} s; run again when that one is done",
        sqlite3.SQLITE_LOCKED: f"another process has held it for {_WAIT_S:.0f} s; run again when that one is done",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened: is the folder there, and may you write in it?",
        sqlite3.SQLITE_READONLY: "may not be written; name another file",
        sqlite3.SQLITE_PERM: "may not be opened; name another file",
        sqlite3.SQLITE_NOTADB: "no store: not a SQLite file; it was not touched",
        sqlite3.SQLITE_CORRUPT: "the store is damaged; it was not touched: sqlite3 FILE .recover may save its rows",
        sqlite3.SQLITE_IOERR: "the disk failed to read or write; what was finished before is kept",
    }
    return advice.get(code, str(error)) + (f" ({error})" if code in advice else "")
