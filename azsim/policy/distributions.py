"""Numbers with a distribution, made from keyed bits by arithmetic that is the same on every machine (O2).

`log`, `exp` and the normal quantile are written out here with additions, multiplications, divisions and square roots
only: a C library's versions differ in the last bit between systems, and that bit could reorder two events.
"""

from __future__ import annotations

import math
from typing import Any

from azsim.base.jit import bits_float, float_bits, rule
from azsim.base.seeds import WORK, key_hash

CONSTANT = 0
EXPONENTIAL = 1
LOGNORMAL = 2
GAMMA = 3
PARETO = 4
UNIFORM = 5
EMPIRICAL = 6

_LN2 = 0.6931471805599453
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@rule
def unit(bits: int) -> float:
    """A number in the open interval (0, 1) from 63 bits: the midpoint of one of 2^52 cells."""
    return (float(bits >> 11) + 0.5) * 2.220446049250313e-16


@rule
def index_below(bits: int, n: int) -> int:
    """floor(u n) for 0 <= u < 1 made of 63 bits; n < 2^31."""
    return ((bits >> 31) * n) >> 32


@rule
def natural_log(x: float) -> float:
    """ln x for normal x > 0, relative error below 1e-13."""
    bits = float_bits(x)
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    m = bits_float(bits - (exponent << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    # 2 + 2/3 z + 2/5 z^2 + ..., in pairs (Estrin): a chain of nine steps would take twice as long.
    z2 = z * z
    z4 = z2 * z2
    low = (2.0 + 2.0 / 3.0 * z) + (2.0 / 5.0 + 2.0 / 7.0 * z) * z2
    high = (2.0 / 9.0 + 2.0 / 11.0 * z) + (2.0 / 13.0 + 2.0 / 15.0 * z) * z2
    p = low + (high + 2.0 / 17.0 * z4) * z4
    return float(exponent) * _LN2 + s * p


@rule
def exponential_function(x: float) -> float:
    """e^x, relative error below 1e-15; 0 below -708, the value at 709 above it."""
    if x < -708.0:
        return 0.0
    if x > 709.0:
        x = 709.0
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - float(k) * _LN2_HIGH) - float(k) * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * bits_float((int(k) + 1023) << 52)


@rule
def normal_quantile(u: float) -> float:
    """Standard normal quantile, about 1e-15 relative (Wichura 1988, algorithm AS 241, PPND16)."""
    q = u - 0.5
    if -0.425 <= q <= 0.425:
        r = 0.180625 - q * q
        n = 2.5090809287301226727e3
        n = n * r + 3.3430575583588128105e4
        n = n * r + 6.7265770927008700853e4
        n = n * r + 4.5921953931549871457e4
        n = n * r + 1.3731693765509461125e4
        n = n * r + 1.9715909503065514427e3
        n = n * r + 1.3314166789178437745e2
        n = n * r + 3.3871328727963666080e0
        d = 5.2264952788528545610e3
        d = d * r + 2.8729085735721942674e4
        d = d * r + 3.9307895800092710610e4
        d = d * r + 2.1213794301586595867e4
        d = d * r + 5.3941960214247511077e3
        d = d * r + 6.8718700749205790830e2
        d = d * r + 4.2313330701600911252e1
        d = d * r + 1.0
        return q * n / d
    r = math.sqrt(-natural_log(u if q < 0.0 else 1.0 - u))
    if r <= 5.0:
        r = r - 1.6
        n = 7.74545014278341407640e-4
        n = n * r + 2.27238449892691845833e-2
        n = n * r + 2.41780725177450611770e-1
        n = n * r + 1.27045825245236838258e0
        n = n * r + 3.64784832476320460504e0
        n = n * r + 5.76949722146069140550e0
        n = n * r + 4.63033784615654529590e0
        n = n * r + 1.42343711074968357734e0
        d = 1.05075007164441684324e-9
        d = d * r + 5.47593808499534494600e-4
        d = d * r + 1.51986665636164571966e-2
        d = d * r + 1.48103976427480074590e-1
        d = d * r + 6.89767334985100004550e-1
        d = d * r + 1.67638483018380384940e0
        d = d * r + 2.05319162663775882187e0
        d = d * r + 1.0
    else:
        r = r - 5.0
        n = 2.01033439929228813265e-7
        n = n * r + 2.71155556874348757815e-5
        n = n * r + 1.24266094738807843860e-3
        n = n * r + 2.65321895265761230930e-2
        n = n * r + 2.96560571828504891230e-1
        n = n * r + 1.78482653991729133580e0
        n = n * r + 5.46378491116411436990e0
        n = n * r + 6.65790464350110377720e0
        d = 2.04426310338993978564e-15
        d = d * r + 1.42151175831644588870e-7
        d = d * r + 1.84631831751005468180e-5
        d = d * r + 7.86869131145613259100e-4
        d = d * r + 1.48753612908506148525e-2
        d = d * r + 1.36929880922735805310e-1
        d = d * r + 5.99832206555887937690e-1
        d = d * r + 1.0
    x = n / d
    return -x if q < 0.0 else x


@rule
def standard_exponential(bits: int) -> float:
    """A unit-mean exponential number from 63 bits."""
    return -natural_log(unit(bits))


@rule
def standard_gamma(shape: float, key: int, request: int, path: int, tag: int) -> float:
    """A gamma number of unit scale by Marsaglia and Tsang (2000); try j uses its own keyed bits."""
    k = shape if shape >= 1.0 else shape + 1.0
    d = k - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    x = d
    for j in range(1, 120):
        z = normal_quantile(unit(key_hash(key, request, path, tag, WORK + 16 * (2 * j))))
        v = 1.0 + c * z
        if v <= 0.0:
            continue
        v = v * v * v
        u = unit(key_hash(key, request, path, tag, WORK + 16 * (2 * j + 1)))
        if natural_log(u) < 0.5 * z * z + d - d * v + d * natural_log(v):
            x = d * v
            break
    if shape < 1.0:
        u = unit(key_hash(key, request, path, tag, WORK))
        x = x * exponential_function(natural_log(u) / shape)
    return x


@rule
def _sample_other(
    kind: int, a: float, b: float, table: Any, first: int, count: int, key: int, request: int, path: int, tag: int
) -> int:
    """The kinds that need more than one line, or are rare."""
    if kind == CONSTANT:
        return int(math.ceil(a))
    bits = key_hash(key, request, path, tag, WORK)
    if kind == UNIFORM:
        return int(math.ceil(a + b * unit(bits)))
    if kind == EMPIRICAL:
        return int(table[first + index_below(bits, count)])
    if kind == LOGNORMAL:
        x = exponential_function(a + b * normal_quantile(unit(bits)))
    elif kind == GAMMA:
        x = b * standard_gamma(a, key, request, path, tag)
    else:
        x = b * exponential_function(a * standard_exponential(bits))
    # A heavy tail may exceed what int64 nanoseconds hold; 30 days is longer than any run.
    return int(math.ceil(min(x, 2.6e15)))


@rule
def sample_work(
    kind: int, a: float, b: float, table: Any, first: int, count: int, key: int, request: int, path: int, tag: int
) -> int:
    """The work of one attempt in nanoseconds of one core, rounded once, up (O2, O4).

    `a`, `b` by kind: constant (value, -), exponential (mean, -), lognormal (mu, sigma of the logarithm), gamma (shape,
    scale), pareto (1 / shape, scale), uniform (low, width), all in nanoseconds; empirical picks one of
    `table[first : first + count]`.
    """
    if kind == EXPONENTIAL:
        return int(math.ceil(a * standard_exponential(key_hash(key, request, path, tag, WORK))))
    return _sample_other(kind, a, b, table, first, count, key, request, path, tag)
