"""Freed memory stays with the process: reusing it costs no page faults."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from evaluators.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for i in range(40):
    if i == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again():
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", FAULTS, kind], capture_output=True, text=True, check=True).stdout)
        for kind in ("kept", "returned")
    )
    assert kept < returned / 10
