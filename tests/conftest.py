"""What holds for every test: the same examples each time, and no window opened."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

# `plain` tries the same examples on every machine; time decides nothing. To look for new ones:
# HYPOTHESIS_PROFILE=search pytest tests/twin
_NO_CLOCK = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("plain", derandomize=True, database=None, print_blob=True, **_NO_CLOCK)
settings.register_profile("search", max_examples=2000, print_blob=True, **_NO_CLOCK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "plain"))
