"""azsim: does failing over make the system fall over? Availability-zone failover, simulated request by request."""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from azsim.base.errors import AzsimError, ScenarioError
    from azsim.base.version import __version__
    from azsim.scenario import Scenario, load
    from azsim.simulation.result import Result
    from azsim.simulation.run import run
    from azsim.study.api import explain, find_margin, tune
    from azsim.study.study import Study, Until, collect

__all__ = [
    "AzsimError",
    "Result",
    "Scenario",
    "ScenarioError",
    "Study",
    "Until",
    "__version__",
    "collect",
    "explain",
    "find_margin",
    "load",
    "run",
    "tune",
]

# Imported when first asked for: numba and pandas take longer to import than most commands take to run.
_HOMES = {
    "AzsimError": "azsim.base.errors",
    "Result": "azsim.simulation.result",
    "Scenario": "azsim.scenario",
    "ScenarioError": "azsim.base.errors",
    "Study": "azsim.study.study",
    "Until": "azsim.study.study",
    "__version__": "azsim.base.version",
    "collect": "azsim.study.study",
    "explain": "azsim.study.api",
    "find_margin": "azsim.study.api",
    "load": "azsim.scenario",
    "run": "azsim.simulation.run",
    "tune": "azsim.study.api",
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
