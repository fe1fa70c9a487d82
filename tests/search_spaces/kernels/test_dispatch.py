"""When a kernel stands in and when the plain operator runs; an install without a compiler."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.kernels import library
from search_spaces.kernels.dispatch import available, plain_operators, usable
from search_spaces.kernels.pix import FusedPiX
from search_spaces.operators.dynamic_shuffle import DynamicShuffle
from search_spaces.operators.pix import PiX

ROOT = Path(__file__).parents[3]
needs_library = pytest.mark.skipif(not available(), reason="the native kernels were not built")


def is_fused(y):
    return isinstance(y.grad_fn, FusedPiX._backward_cls)


def maps(**options):
    return torch.randn(2, 8, 5, 5, requires_grad=True, **options)


@needs_library
def test_the_instructions_can_be_chosen():
    code = "from search_spaces.kernels.library import use_instructions as use; print(use(), use('baseline'))"
    best = library.use_instructions(library.INSTRUCTIONS[-1])
    for asked, got in [("1", best), ("baseline", "baseline")]:
        out = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NAS_KERNELS": asked},
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        assert out.stdout.split() == [got, "baseline"]
    with pytest.raises(ValueError):
        library.use_instructions("mmx")


@needs_library
def test_runs_where_it_can():
    assert is_fused(PiX(8, zeta=4)(maps()))
    assert is_fused(PiX(8, zeta=4)(maps().contiguous(memory_format=torch.channels_last)))


def test_plain_where_asked():
    with plain_operators():
        assert not available() and not is_fused(PiX(8, zeta=4)(maps()))


def test_plain_where_a_kernel_cannot_read():
    layer = PiX(8, zeta=4)
    assert not is_fused(layer(maps()[:, :, :, ::2]))
    assert not is_fused(layer.double()(maps(dtype=torch.float64)))
    assert not is_fused(layer.bfloat16()(maps(dtype=torch.bfloat16)))
    assert layer.float()(torch.empty(0, 8, 3, 3)).shape == (0, 2, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_fused(layer(maps()))


def test_plain_where_somebody_watches():
    layer = PiX(8, zeta=4)
    with FlopCounterMode(display=False) as counter:
        layer(maps())
    assert counter.get_total_flops() == 2 * 2 * 8 * 2
    seen = []
    handle = layer.context.register_forward_hook(lambda *_: seen.append(1))
    layer(maps())
    handle.remove()
    assert seen


@needs_library
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_plain_under_transforms():
    x = torch.randn(3, 2, 8, 5, 5)
    assert usable(x[0])
    seen = []
    torch.vmap(lambda t: seen.append(usable(t)) or t)(x)
    assert seen == [False]
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x[0], torch.ones_like(x[0]))
        assert not usable(dual)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traced_as_plain_operations():
    layer = PiX(8, zeta=4).eval()
    with torch.no_grad():
        traced = torch.jit.trace(layer, maps().detach())
        x = maps().detach()
        torch.testing.assert_close(traced(x), layer(x))


@needs_library
@pytest.mark.parametrize("module", [PiX, DynamicShuffle])
def test_sources_stay_plain(module):
    names = {node.id for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Name)}
    assert not names & {"with_fast_path", "fast_pix", "fast_shuffle", "LIBRARY"}


def test_without_a_library(monkeypatch, tmp_path):
    assert library.load(tmp_path) is None
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import search_spaces.operators.pix as p, torch; print(p.PiX(8, zeta=4)(torch.ones(1, 8, 2, 2)).shape)",
        ],
        env={**os.environ, "NAS_KERNELS": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[1, 2, 2, 2]" in run.stdout


def test_an_older_library_is_not_called(monkeypatch, caplog):
    if library.LIBRARY is None:
        pytest.skip("the native kernels were not built")
    monkeypatch.setattr(library, "VERSION", -1)
    assert library.load() is None
    assert "install again" in caplog.text


def test_builds_without_a_compiler(tmp_path):
    run = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path), "--build-temp", str(tmp_path / "t")],
        env={**os.environ, "CC": "false", "CXX": "false"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_odd_children_take_the_plain_path():
    layer = PiX(8, zeta=4)
    layer.context = nn.Sequential(layer.context)
    assert layer(maps()).shape == (2, 2, 5, 5)
