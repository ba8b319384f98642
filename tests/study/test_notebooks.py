"""The notebooks run from top to bottom, on a small scenario, with public names only."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

import azsim
from tests.study.storm import storm

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SMALL = {"REPLICATES": "36", "TRIALS": "10", "WORKERS": "1"}
NAMES = re.compile(r"\bazsim\.(\w+)")


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_uses_public_names_and_holds_no_output(path: Path) -> None:
    used = {name for source in code(path) for name in NAMES.findall(source)}
    assert used <= set(azsim.__all__)
    assert not any("from azsim" in source for source in code(path))
    assert not any(cell.get("outputs") for cell in nbformat.read(path, 4).cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parameters (the cell with that tag) are made small; nothing else is changed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(azsim.__file__).parents[1]))
    file = tmp_path / "storm.yaml"
    # The storm has something to explain; without its spike there is a margin to find.
    faults = storm().to_dict()["faults"]
    small = storm(faults=faults[:1]) if path.stem == "how_likely" else storm()
    file.write_text(yaml.safe_dump(small.to_dict()))
    notebook = nbformat.read(path, 4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    values = SMALL | {"FILE": repr(str(file))}
    if path.stem == "why_and_what_to_do":
        values["REPLICATES"] = "1"
    cell.source = re.sub(
        r"^(\w+) = .*$", lambda found: f"{found[1]} = {values.get(found[1], '{}')}", cell.source, flags=re.MULTILINE
    )
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    results = [
        str(output.data["text/plain"])
        for one in notebook.cells
        for output in one.get("outputs", [])
        if "data" in output
    ]
    assert any(word in " ".join(results) for word in ("collapse", "best", "necessary"))
