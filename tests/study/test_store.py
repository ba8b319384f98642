"""The store: every row once, whatever happens to the file or to the process."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.study.export import as_csv, as_parquet, table
from azsim.study.store import Store, StoreError
from tests.study.fake import row

ROWS = [row(replicate=k) for k in range(20)]


def exported(path: Path) -> bytes:
    with Store(path) as store:
        store.check()
        return as_csv(table(store))


def test_rows_come_back_as_they_were_and_by_key(tmp_path: Path) -> None:
    rows = [row(replicate=k, headroom_min=1 / 3 + k, time_to_detect_s=None) for k in range(7)]
    with Store(tmp_path / "s") as store:
        store.add(reversed(rows))
    with Store(tmp_path / "s") as store:
        assert list(store) == rows
        assert store.find(rows[0].digest, rows[0].code_version, [5, 3, 99]) == {3: rows[3], 5: rows[5]}
        assert store.find(rows[0].digest, "of another version", [5]) == {}


def test_a_row_is_counted_once_however_often_it_comes(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.add(ROWS)
        store.add(ROWS[5:])
        assert len(store) == len(ROWS)


def test_a_row_that_came_out_differently_is_refused_and_nothing_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.add(ROWS[:2])
        with pytest.raises(StoreError, match="came out differently"):
            store.add([ROWS[3], replace(ROWS[1], offered=999)])
        assert list(store) == ROWS[:2]


@settings(max_examples=12)
@given(parts=st.lists(st.sets(st.integers(0, 19), max_size=20), min_size=1, max_size=4))
def test_stores_merge_to_the_same_bytes_however_they_overlap(
    parts: list[set[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    for number, part in enumerate(parts):
        with Store(folder / f"{number}") as store:
            store.add(ROWS[k] for k in part)
    with Store(folder / "all") as store:
        new = sum(store.merge(folder / f"{number}") for number in range(len(parts)))
        assert new == len(store)
    wanted = sorted(set().union(*parts))
    assert exported(folder / "all") == as_csv(table(ROWS[k] for k in wanted))


def test_stores_that_disagree_do_not_merge(tmp_path: Path) -> None:
    with Store(tmp_path / "a") as a, Store(tmp_path / "b") as b:
        a.add(ROWS[:3])
        b.add([ROWS[7], replace(ROWS[2], verdict="outage")])
    with Store(tmp_path / "a") as store:
        with pytest.raises(StoreError, match="replicate 2"):
            store.merge(tmp_path / "b")
        with pytest.raises(StoreError, match="itself"):
            store.merge(tmp_path / "a")
        with pytest.raises(StoreError, match="no such store"):
            store.merge(tmp_path / "c")
        assert list(store) == ROWS[:3]


def test_a_row_that_lacks_what_another_has_differs(tmp_path: Path) -> None:
    """Nothing is not equal to nothing in SQL; here it is, and differs from a number."""
    with Store(tmp_path / "a") as a, Store(tmp_path / "b") as b:
        a.add([ROWS[0]])
        b.add([replace(ROWS[0], time_to_detect_s=3.0)])
        with pytest.raises(StoreError, match="differently"):
            a.merge(tmp_path / "b")


def test_a_full_disk_is_told_and_takes_nothing_back(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.add(ROWS)
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="the disk is full"):
            store.add(row(replicate=k) for k in range(100, 2000))
        assert list(store) == ROWS
    assert exported(tmp_path / "s") == as_csv(table(ROWS))


def test_a_locked_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azsim.study.store._WAIT_S", 0.1)
    with Store(tmp_path / "s") as store:
        store.add(ROWS)
        other = sqlite3.connect(tmp_path / "s", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process"):
            store.add([row(replicate=50)])
        other.execute("ROLLBACK")
        other.close()
        store.add([row(replicate=50)])
        assert len(store) == len(ROWS) + 1


@pytest.mark.parametrize("content", [b"a text\n" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_of_something_else_is_told_and_not_touched(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not touched"):
        Store(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_told_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE rows (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="something else"):
        Store(path)
    assert path.read_bytes() == before


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.add(row(replicate=k) for k in range(500))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 5] = b"\x55" * 8192
    path.write_bytes(content)
    with Store(path) as store, pytest.raises(StoreError, match="damaged"):
        store.check()
    with Store(path) as store, pytest.raises(StoreError, match="damaged"):
        list(store)
    assert path.read_bytes() == bytes(content)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is the folder there"):
        Store(tmp_path / "nowhere" / "s")


def test_a_store_of_a_later_format_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store._db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="format 99"):
        Store(tmp_path / "s")


def test_what_is_committed_is_there_though_nobody_closed_the_store(tmp_path: Path) -> None:
    """The files of a store in use, copied as a killed process leaves them."""
    store = Store(tmp_path / "s")
    store.add(ROWS)
    left = tmp_path / "left"
    left.mkdir()
    for path in tmp_path.glob("s*"):
        if path.is_file():
            shutil.copy(path, left / path.name)
    assert exported(left / "s") == as_csv(table(ROWS))
    store.close()


def test_exports_are_the_same_bytes_and_read_back() -> None:
    import io

    import pandas

    frame = table(ROWS)
    assert as_csv(frame) == as_csv(table(list(ROWS)))
    assert as_parquet(frame) == as_parquet(table(list(ROWS)))
    pandas.testing.assert_frame_equal(pandas.read_parquet(io.BytesIO(as_parquet(frame))), frame)
    again = pandas.read_csv(io.BytesIO(as_csv(frame)))
    assert again["latency_p99_s"].tolist() == frame["latency_p99_s"].tolist()
    assert not [name for name in frame.columns if "wall" in name]
