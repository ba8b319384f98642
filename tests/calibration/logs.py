"""Access logs as an Application Load Balancer writes them, of requests drawn from known distributions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

START_S = datetime(2026, 3, 1, 8, 0, tzinfo=UTC).timestamp()


def arrivals(steps: list[tuple[float, float, float]], seed: int) -> npt.NDArray[np.float64]:
    """Poisson arrivals, in order; each step is (from, to, rate per second)."""
    rng = np.random.default_rng(seed)
    found = [np.sort(rng.uniform(low, high, rng.poisson(rate * (high - low)))) for low, high, rate in steps]
    return np.concatenate(found)


def line(at_s: float, work_s: float, status: int = 200) -> str:
    """One line: the request came `at_s` after the start and kept its target busy for `work_s`."""
    answered = datetime.fromtimestamp(START_S + at_s + 0.002 + work_s, UTC).isoformat(timespec="microseconds")
    came = datetime.fromtimestamp(START_S + at_s, UTC).isoformat(timespec="microseconds")
    target = "10.0.0.1:80" if work_s >= 0 else "-"
    return (
        f"https {answered.replace('+00:00', 'Z')} app/shop/50dc6c495c0c9188 192.168.131.39:2817 {target} "
        f"0.001 {work_s:.3f} 0.001 {status} {status if work_s >= 0 else '-'} 34 366 "
        '"GET https://shop.example:443/cart?q=\\x22a\\x22 HTTP/1.1" "Mozilla/5.0 (X11; Linux) \\"odd\\"" '
        "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/73e2 "
        f'"Root=1-58337281-1d84f3d73c47ec4e58577259" "shop.example" "session-reused" 1 {came.replace("+00:00", "Z")} '
        '"forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90 "-" "-" "-"\n'
    )
