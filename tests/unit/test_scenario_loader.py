"""YAML is read with its positions and without its surprises."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from azsim.base.errors import ScenarioError
from azsim.scenario import loader
from azsim.scenario.tree import Node, Origin, from_plain, merged, plain


def read(text: str) -> Node:
    return loader.read_text(text, "here.yaml")


def at(node: Node, *path: str | int) -> Node:
    for key in path:
        assert isinstance(node.value, dict | list)
        node = node.value[key]  # type: ignore[index]
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "YES", "none", "1:30", "190:20:30")],
        *[(word, word) for word in ("2024-01-01", "2001-12-14t21:59:43Z", "010", "0o17", "0x1F", "1_000", "=", "1e")],
        *[("true", True), ("false", False), ("null", None), ("~", None), ("", None)],
        *[
            ("12", 12),
            ("-7", -7),
            ("0", 0),
            ("1.5", 1.5),
            ("-0.5", -0.5),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("6.02e23", 6.02e23),
        ],
        *[('"12"', "12"), ("'true'", "true"), ('""', ""), ("99%", "99%"), ("10s", "10s"), ("9" * 5000, "9" * 5000)],
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    found = at(read(f"key: {text}"), "key").value
    assert found == value
    assert type(found) is type(value)


def test_the_key_on_stays_a_word() -> None:
    assert plain(read("on: [timeout]\nyes: 1\n1: 2\ntrue: 3")) == {"on": ["timeout"], "yes": 1, "1": 2, "true": 3}


def test_every_value_knows_where_it_stands() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: d}\n")
    assert at(tree, "a").origin == Origin("here.yaml", 1, 4)
    assert at(tree, "a").key_origin == Origin("here.yaml", 1, 1)
    assert at(tree, "b", 1).origin == Origin("here.yaml", 4, 5)
    assert at(tree, "b", 1, "c").origin == Origin("here.yaml", 4, 9)
    assert at(tree, "b", 1, "c").key_origin == Origin("here.yaml", 4, 6)


def test_an_alias_keeps_the_place_of_its_value_and_has_its_own_key() -> None:
    tree = read("a: &x {k: 1}\nb: *x\n")
    assert plain(tree) == {"a": {"k": 1}, "b": {"k": 1}}
    assert at(tree, "b").key_origin == Origin("here.yaml", 2, 1)
    assert at(tree, "b", "k").origin == Origin("here.yaml", 1, 11)


def test_sizes_count_what_aliases_expand_to() -> None:
    tree = read("a: &x [1, 2, 3]\nb: [*x, *x]\n")
    assert at(tree, "a").size == 4
    assert at(tree, "b").size == 9
    assert tree.size == 14


@pytest.mark.parametrize("levels", [6, 9, 30])
def test_a_bomb_is_refused_before_it_goes_off(levels: int) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    started = time.perf_counter()
    with pytest.raises(ScenarioError, match="at most 100000 values"):
        read("\n".join(lines))
    assert time.perf_counter() - started < 1


def test_as_many_values_as_allowed_are_read() -> None:
    assert read(f"a: [{', '.join(['1'] * (loader.NODES_MAX - 3))}]").size == loader.NODES_MAX - 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "&a ["])
def test_endless_nesting_does_not_end_the_program(opening: str) -> None:
    with pytest.raises(ScenarioError):
        read("key: " + opening * 100_000 if opening in "[{a: &a [" else opening * 100_000)


def test_nesting_through_aliases_is_bounded() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]" for i in range(1, 8)]
    with pytest.raises(ScenarioError, match="nests at most 32 deep, aliases expanded"):
        read("\n".join(lines))


@pytest.mark.parametrize("size", [loader.FILE_BYTES_MAX + 1, 3 * loader.FILE_BYTES_MAX])
def test_a_large_file_is_refused(tmp_path: Path, size: int) -> None:
    file = tmp_path / "large.yaml"
    file.write_bytes(b"#" * size)
    with pytest.raises(ScenarioError, match="at most 4 MiB"):
        loader.read_file(file)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfazsim: 1\n")
    assert plain(loader.read_file(file)) == {"azsim": 1}


def test_a_file_with_windows_line_ends_has_the_same_positions(tmp_path: Path) -> None:
    file = tmp_path / "crlf.yaml"
    file.write_bytes(b"a: 1\r\nb: 2\r\n")
    assert at(loader.read_file(file), "b").origin == Origin(str(file), 2, 4)


def test_extends_takes_the_other_file_first(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/ground.yaml").write_text("zones: [a, b]\nseed: 1\n")
    (tmp_path / "shared/base.yaml").write_text(
        "extends: ground.yaml\nnet: {x: 1, y: 2}\nwork: {distribution: gamma, mean: 1, cv: 2}\n"
    )
    top = tmp_path / "top.yaml"
    top.write_text(
        "extends: shared/base.yaml\nzones: [c]\nnet:\n  y: 3\n  z: 4\nwork: {distribution: constant, mean: 5}\n"
    )
    tree = loader.read_file(top)
    assert plain(tree) == {
        "zones": ["c"],
        "seed": 1,
        "net": {"x": 1, "y": 3, "z": 4},
        "work": {"distribution": "constant", "mean": 5},
    }
    assert at(tree, "net", "x").origin == Origin(str(tmp_path / "shared/base.yaml"), 2, 10)
    assert at(tree, "net", "y").origin == Origin(str(top), 4, 6)
    assert Path(at(tree, "seed").origin.file).samefile(tmp_path / "shared/ground.yaml")


def test_extends_in_a_circle_is_refused_with_the_circle(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {other}.yaml\n")
    with pytest.raises(ScenarioError, match=r"a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml") as caught:
        loader.read_file(tmp_path / "a.yaml")
    assert caught.value.file == str(tmp_path / "c.yaml")


def test_extends_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for name in ("loop.yaml", "a\\0b", "x" * 300, "nowhere/base.yaml"):
        (tmp_path / "top.yaml").write_text(f'extends: "{name}"\n')
        with pytest.raises(ScenarioError, match="cannot be read") as caught:
            loader.read_file(tmp_path / "top.yaml")
        assert (caught.value.key, caught.value.line) == ("extends", 1)


def test_a_long_chain_of_extends_is_refused(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    with pytest.raises(ScenarioError, match="at most 16 files"):
        loader.read_file(tmp_path / "0.yaml")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ScenarioError, match="cannot be read") as caught:
        loader.read_file("nowhere/at/all.yaml")
    assert caught.value.file == "nowhere/at/all.yaml"
    with pytest.raises(ScenarioError, match="cannot be read"):
        loader.read_file("a\0b")


def test_lists_and_scalars_replace_when_merging() -> None:
    here = Origin("x")
    base, over = from_plain({"a": [1, 2], "b": {"c": 1}, "d": 1}, here), from_plain({"a": [3], "b": "none"}, here)
    assert plain(merged(base, over)) == {"a": [3], "b": "none", "d": 1}
    assert plain(base) == {"a": [1, 2], "b": {"c": 1}, "d": 1}


def test_the_slow_reader_of_yaml_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "faults/base.yaml").read_text()
    fast = read(text)
    monkeypatch.setattr(loader, "_Loader", loader.yaml.SafeLoader)
    assert read(text) == fast
