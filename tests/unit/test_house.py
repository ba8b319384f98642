"""House rules. Each failure names the rule's cure."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import azsim

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 600
FILE_BYTES_MAX = 2**20
PUBLIC_NAMES_MAX = 20
SLOW_IMPORTS = {
    "distributed",
    "jinja2",
    "matplotlib",
    "numba",
    "numpy",
    "optuna",
    "pandas",
    "pydantic",
    "scipy",
    "simpy",
}

# A path that exists on one machine only, and a number in somebody's tracker.
MACHINE_PATH = re.compile(r"(?<![\w.}/~-])/(?:work|opt|root|home|Users)/[\w.]")
TRACKER_NUMBER = re.compile(r"\b(?:issues?|tickets?|PR) ?#\d|\(#\d+\)", re.IGNORECASE)


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # unpacked from an archive
        files = [path for path in ROOT.rglob("*") if "__pycache__" not in path.parts]
    return tuple(sorted(path for path in files if path.is_file()))


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Path (from the root) and text of every UTF-8 file, of these suffixes if any are given."""
    for path in repository_files():
        if suffixes and path.suffix not in suffixes:
            continue
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            assert not suffixes, f"{path.name} is not UTF-8: save it as UTF-8"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Path (from the root) and syntax tree of every module of the package."""
    for name, text in texts(".py"):
        if name.startswith("azsim/"):
            yield name, ast.parse(text)


def imports(tree: ast.Module) -> set[str]:
    """Dotted names a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def room(name: str) -> str:
    """`azsim.dataplane.codes.OK` lives in `dataplane`; what is not azsim's lives in ''."""
    parts = name.split(".")
    return parts[1] if parts[0] == "azsim" and len(parts) > 1 else ""


def test_the_listing_finds_this_file() -> None:
    """The rules below would hold of an empty repository, too."""
    assert Path(__file__).resolve() in repository_files()
    assert len(dict(modules())) > 10


def test_modules_are_short() -> None:
    long = {name: n for name, text in texts(".py", ".c") if (n := text.count("\n")) > LINES_MAX}
    assert not long, f"more than {LINES_MAX} lines: move one of its subjects into a module of its own: {long}"


def test_files_are_small() -> None:
    large = [path.name for path in repository_files() if path.stat().st_size > FILE_BYTES_MAX]
    assert not large, f"larger than 1 MiB: generate it, shorten it or leave it out: {large}"


@pytest.mark.parametrize(
    ("pattern", "cure"),
    [
        (MACHINE_PATH, "write it relative to the repository, or take it from the environment"),
        (TRACKER_NUMBER, "say what the matter is; a number is lost with the tracker"),
    ],
)
def test_the_repository_speaks_of_azsim_alone(pattern: re.Pattern[str], cure: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{cure}:\n" + "\n".join(found)


def test_the_patterns_find_what_they_look_for() -> None:
    slash = "/"
    assert MACHINE_PATH.search(f"see {slash}home{slash}ann{slash}azsim")
    assert not MACHINE_PATH.search("docs/work/notes https://example.org/home/x ../opt/x")
    assert TRACKER_NUMBER.search("fixes " + "issue #" + "12")
    assert not TRACKER_NUMBER.search("# 12 issues of colour #123456")


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for name, text in texts(".md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path = target.partition("#")[0]
            if path and "://" not in target and not target.startswith("mailto:"):
                base = ROOT if path.startswith("/") else (ROOT / name).parent
                if not (base / path.lstrip("/")).exists():
                    broken.append(f"{name}: {target}")
    assert not broken, f"links to files that do not exist: correct or remove them: {broken}"


def test_public_names_are_those_in_all() -> None:
    feature = type(annotations)  # `from __future__ import annotations` leaves a name behind
    present = {
        name
        for name in dir(azsim)
        if not name.startswith("_")
        and not inspect.ismodule(getattr(azsim, name))
        and not isinstance(getattr(azsim, name), feature)
    }
    declared = {name for name in azsim.__all__ if not name.startswith("_")}
    assert present == declared, "azsim.__all__ and the names in azsim differ: add or delete one (or give it a _)"
    assert len(azsim.__all__) == len(set(azsim.__all__)), "azsim.__all__ names something twice"
    assert len(declared) <= PUBLIC_NAMES_MAX, "too many public names: leave the rarer ones in their own modules"


def test_the_version_is_one() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert newest, "CHANGELOG.md has no version heading: add `## X.Y.Z - DATE`"
    assert azsim.__version__ == newest[1], "azsim/base/version.py and CHANGELOG.md name different versions"
    try:
        installed = metadata.version("azsim")
    except metadata.PackageNotFoundError:  # run from the source tree
        return
    assert installed == azsim.__version__, "another azsim is installed here: run pip install '.[test]' again"


def test_only_lowering_knows_both_the_scenario_and_the_data_plane() -> None:
    both = [name for name, tree in modules() if {"scenario", "dataplane"} <= {room(i) for i in imports(tree)}]
    names = ("lower", "lower_balancing", "lower_policies", "lower_programs", "lower_work")
    parts = {f"azsim/simulation/{name}.py" for name in names}
    assert set(both) == parts, "let azsim/simulation/lower.py and its parts do the crossing, and them alone"


def test_compiler_options_are_in_one_module() -> None:
    compilers = {f"numba{name}" for name in ("", ".njit", ".jit", ".vectorize", ".guvectorize", ".cfunc")}
    users = [name for name, tree in modules() if compilers & imports(tree)]
    assert users == ["azsim/base/jit.py"], "use the decorators of azsim/base/jit.py instead of numba's"


def test_nothing_draws_from_a_stream() -> None:
    streams = re.compile(r"random|secrets|uuid|numpy\.random.*|random\..*|uuid\..*|secrets\..*")
    users = [name for name, tree in modules() if any(streams.fullmatch(i) for i in imports(tree))]
    users += [name for name, text in texts(".py") if name.startswith("azsim/") and "np.random" in text]
    assert not users, f"draw keyed numbers with azsim/base/seeds.py instead (O4): {users}"


def test_the_command_line_starts_without_slow_imports() -> None:
    script = "import sys, azsim.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    slow = SLOW_IMPORTS & set(done.stdout.split())
    assert not slow, f"azsim --help would wait for {slow}: import them inside the verb that needs them"


@pytest.mark.parametrize(
    "command", ["pip install '.[test]'", "azsim run scenarios/zone_loss_retry_storm.yaml", "pytest"]
)
def test_ci_runs_what_the_readme_tells_a_person_to_run(command: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE))
    told = re.compile(rf"^(?:\$ )?(?:python -m )?{re.escape(command)}(?:\s|$)", re.MULTILINE)
    assert told.search(blocks), f"README.md has no code block with `{command}`: add it, or change .ci/run with it"
    run = (ROOT / ".ci/run").read_text(encoding="utf-8").replace("--quiet --retries 5 ", "")
    assert told.search(run), f".ci/run does not run `{command}` as README.md says: make them the same"
