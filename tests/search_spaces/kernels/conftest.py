"""Kernels run with one thread and with several, and with the instructions of every processor up to this one."""

import pytest
import torch

from search_spaces.kernels.library import INSTRUCTIONS, LIBRARY, use_instructions


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(params=INSTRUCTIONS)
def instructions(request):
    if LIBRARY is None:
        pytest.skip("the native kernels were not built")
    if use_instructions(request.param) != request.param:
        pytest.skip("this processor has no such instructions")
    yield request.param
    use_instructions(INSTRUCTIONS[-1])
