"""One place for everything that concerns the compiler: options, the cache folder, memory views.

The functions in `azsim.policy` are decorated with `rule`: called from Python they run as written, called from compiled
code they are compiled into the caller. So the reference engine and the kernel obey the same lines of code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import carray, types
from numba.core import cgutils, config
from numba.extending import intrinsic, overload, register_jitable

F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = ("base/jit.py", "base/seeds.py", "policy", "dataplane")


def sources_digest() -> str:
    """Hash of every source file that compiled code is made from (16 hex digits)."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for entry in _SOURCES:
        path = package / entry
        for file in sorted(path.glob("**/*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: `$AZSIM_CACHE_DIR`, else the user's cache folder.

    numba's own cache misses changes in callees of other modules, so the folder's name carries a hash of all sources.
    """
    root = os.environ.get("AZSIM_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "azsim"
    )
    return Path(root) / f"kernels-{sources_digest()}"


def compiled(function: F) -> F:
    """Compile an entry point of the kernel (cached on disk, without the interpreter lock)."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder())
    try:
        # No fastmath: a fused or reordered operation would make two machines disagree (O2).
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = before


def part(function: F) -> F:
    """Compile a function that only other compiled functions call."""
    return numba.njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


def rule(function: F) -> F:
    """A pure scalar rule: plain Python for the reference, compiled inside the kernel."""
    return register_jitable(error_model="numpy")(function)  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@numba.njit
def memory(address: Any, length: Any, dtype: Any) -> Any:  # pragma: no cover - compiled only
    """View `length` items of `dtype` at an address: how the state record refers to its pools."""
    return carray(_pointer(address), (length,), dtype)


def float_bits(x: float) -> int:
    """The 64 bits of a float as a signed integer."""
    return int(np.float64(x).view(np.int64))


def bits_float(b: int) -> float:
    """The float that has these 64 bits."""
    return float(np.int64(b).view(np.float64))


@overload(float_bits)
def _float_bits(x: Any) -> Any:
    def compiled(x: Any) -> Any:
        return np.float64(x).view(np.int64)

    return compiled


@overload(bits_float)
def _bits_float(b: Any) -> Any:
    def compiled(b: Any) -> Any:
        return np.int64(b).view(np.float64)

    return compiled
