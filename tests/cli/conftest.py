"""What the tests of the command line share: a small scenario, and `azsim` as a person starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from azsim.cli import main

SCENARIO = """\
azsim: 1
name: small
duration: 40s
warmup: 2s
zones: [a, b]
traffic:
  shoppers:
    to: web
    rate: 60/s
    timeout: 200ms
    retry: {attempts: 2, on: [timeout]}
services:
  web:
    slots: 2
    work: {distribution: exponential, mean: 10ms}
    balancer:
      health: {interval: 1s, timeout: 500ms, unhealthy_after: 2, healthy_after: 2, probe: bypass, propagation: 0s}
faults:
  - {id: loss, at: 10s, for: 8s, zone_loss: {zone: b, mode: power}}
hypothesis: {success: ">= 99%", window: 2s, recover_within: 10s}
"""


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    """A scenario that the reference engine runs in well under a second."""
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


Azsim = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def azsim(tmp_path: Path) -> Azsim:
    """Starts azsim in a process of its own, in an empty folder, with pipes for stdout and stderr."""
    package = str(Path(main.__file__).resolve().parents[2])

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "azsim", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "80", "PYTHONPATH": package} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
