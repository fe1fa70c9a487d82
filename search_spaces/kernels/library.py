"""Loads the native library that the install built, if it did; knows its functions' signatures and no operator.

The library needs neither torch's headers nor a thread pool of its own: pointers go in, and its parallel regions are entered through
the OpenMP runtime that PyTorch has loaded.
"""

from __future__ import annotations

import ctypes
import logging
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 8  # of the functions' signatures; the library has the same in kernels.cpp
POINTER, INT, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
# Sets for which every kernel is compiled; elsewhere than on x86-64 the first alone.
INSTRUCTIONS = ("baseline", "avx2", "avx512")
SIGNATURES = {
    "nas_pix_forward": [POINTER] * 6 + [INT] * 4 + [FLOAT] + [INT] * 3,
    "nas_pix_backward": [POINTER] * 9 + [INT] * 4 + [FLOAT] + [INT] * 2,
    "nas_pool": [POINTER] * 2 + [INT] * 5,
    "nas_order": [POINTER] * 2 + [INT] * 5,
    "nas_kronecker": [POINTER] * 4 + [INT] * 8,
    "nas_gather": [POINTER] * 3 + [INT] * 6,
    "nas_multiplex": [POINTER] * 4 + [INT] * 12,
    "nas_winograd": [POINTER] * 5 + [INT] * 7,
}


def load(folder: Path = Path(__file__).parent) -> ctypes.CDLL | None:
    """The library in a folder, ready to be called; None where none was built or it is not of this version."""
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"native{suffix}"
        if not path.exists():
            continue
        try:
            library = ctypes.CDLL(str(path))
            if library.nas_version() != VERSION:
                raise AttributeError(f"version {library.nas_version()} was built, {VERSION} is needed")
            for name, arguments in SIGNATURES.items():
                function = getattr(library, name)
                function.argtypes, function.restype = arguments, None
            library.nas_use_threads.argtypes = [POINTER]
            library.nas_use_threads(_parallel_region())
        except (OSError, AttributeError) as problem:
            log.warning("the native kernels in %s cannot be used: %s; install again to build them", path, problem)
            continue
        return library
    return None


def _parallel_region() -> ctypes.c_void_p:
    """The address of libgomp's GOMP_parallel in this process, null where PyTorch uses another runtime: then one thread works."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, POINTER)
    except (AttributeError, TypeError, OSError):
        return POINTER()


LIBRARY = load()


def use_instructions(most: str | None = None) -> str:
    """Keeps the kernels of this process from newer instructions than `most`, one of `INSTRUCTIONS`; returns which set they use now.

    Without an argument it only tells. It is for testing and timing on one machine what another would run. The environment variable
    `NAS_KERNELS` does the same at start.

    Raises:
        ValueError: there is no such set.
        RuntimeError: no native kernels were built.
    """
    if LIBRARY is None:
        raise RuntimeError("no native kernels were built: install again where there is a compiler")
    return INSTRUCTIONS[LIBRARY.nas_use_level(-1 if most is None else INSTRUCTIONS.index(most))]


if LIBRARY is not None and os.environ.get("NAS_KERNELS") in INSTRUCTIONS:
    use_instructions(os.environ["NAS_KERNELS"])
