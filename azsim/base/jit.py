"""One place for everything that concerns the compiler: options, the cache folder, memory views.

The functions in `azsim.policy` are decorated with `rule`: called from Python they run as written, called from compiled
code they are compiled into the caller. So the reference engine and the kernel obey the same lines of code.
"""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.extending import intrinsic, models, overload, register_jitable, register_model

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


class _PartCompiler(CompilerBase):  # type: ignore[misc]
    """Numba's usual pipeline, without machine code and Python wrappers of its own for each part: halves the wait."""

    def define_pipelines(self) -> Any:
        self.state.flags.no_compile = True
        self.state.flags.no_cpython_wrapper = True
        self.state.flags.no_cfunc_wrapper = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]

    def _compile_core(self) -> Any:
        result = super()._compile_core()
        # The dispatcher wants a C function of its own to call from Python; this one refuses any arguments.
        entry = [].clear
        result.target_context.insert_user_function(entry, result.fndesc, [result.library])
        return result._replace(entry_point=entry)


def part(function: F) -> F:
    """Compile a function that only other compiled functions call.

    Whole numbers are passed as int64 whatever field they come from: one version of each part, not one a caller.
    """
    return _part(function, forceinline=False)


def hot(function: F) -> F:
    """A part that stands on the path of every request: its code goes into its callers."""
    return _part(function, forceinline=True)


def _part(function: F, forceinline: bool) -> F:
    dispatcher = numba.njit(
        function, nogil=True, error_model="numpy", forceinline=forceinline, pipeline_class=_PartCompiler
    )
    template_for = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        return template_for(tuple(_widened(arg) for arg in args), {name: _widened(kws[name]) for name in kws})

    dispatcher.get_call_template = get_call_template
    return dispatcher  # type: ignore[no-any-return]


def _widened(kind: Any) -> Any:
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind.signed else kind


def rule(function: F) -> F:
    """A pure scalar rule: plain Python for the reference, compiled inside the kernel."""
    return register_jitable(error_model="numpy")(function)  # type: ignore[no-any-return]


class Pool(types.Type):  # type: ignore[misc]
    """The compiler's type of a pool: an address. An array would carry six more words and a reference count."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Pool({dtype})")


@register_model(Pool)
class _PoolModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, pool: Any) -> None:
        super().__init__(manager, pool, ir.IntType(64))


@intrinsic
def memory(typingctx: Any, address: Any, dtype: Any) -> Any:
    """The pool of items of `dtype` (a numpy dtype known to the compiler) that starts at an address.

    Item k of a pool of records is a reference to the record, of a pool of numbers the number.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0]

    return Pool(dtype.dtype)(types.int64, dtype), codegen


def _item_pointer(context: Any, builder: Any, pool: Any, address: Any, index: Any) -> Any:
    record = isinstance(pool.dtype, types.Record)
    # A record's value is the pointer to it; a number's pointer points to the number.
    kind = context.get_value_type(pool.dtype)
    pointer = kind if record else kind.as_pointer()
    size = pool.dtype.size if record else context.get_abi_sizeof(kind)
    offset = builder.mul(index, ir.Constant(ir.IntType(64), size))
    return builder.inttoptr(builder.add(address, offset), pointer)


@intrinsic
def _item(typingctx: Any, pool: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _item_pointer(context, builder, pool, args[0], args[1])
        return pointer if isinstance(pool.dtype, types.Record) else builder.load(pointer)

    return pool.dtype(pool, types.int64), codegen


@intrinsic
def _put_item(typingctx: Any, pool: Any, index: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _item_pointer(context, builder, pool, args[0], args[1]))
        return context.get_dummy_value()

    return types.void(pool, types.int64, pool.dtype), codegen


@overload(operator.getitem)
def _getitem(pool: Any, index: Any) -> Any:
    if not isinstance(pool, Pool):
        return None

    def compiled(pool: Any, index: Any) -> Any:
        return _item(pool, index)

    return compiled


@overload(operator.setitem)
def _setitem(pool: Any, index: Any, value: Any) -> Any:
    if not isinstance(pool, Pool):
        return None

    def compiled(pool: Any, index: Any, value: Any) -> Any:
        _put_item(pool, index, value)

    return compiled


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
