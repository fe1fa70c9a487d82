"""The Triton kernels, with and without a GPU: values by Triton's interpreter, that they compile for GPUs that are not there, and fall-back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search_spaces.kernels import dispatch
from search_spaces.kernels.dispatch import plain_operators
from search_spaces.kernels.pix import plain_backward
from search_spaces.operators.dynamic_shuffle import DynamicShuffle
from search_spaces.operators.pix import PiX

triton = pytest.importorskip("triton")

pytestmark = pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")


def test_values_by_the_interpreter():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_gpu_values.py"))],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert " passed" in run.stdout and "skipped" not in run.stdout


POINTERS = {
    "pick": {"x": "T", "p": "fp32", "y": "T", "index": "u8"},
    "dot": {"grad": "T", "y": "T", "sums": "fp32"},
    "spread": {"grad": "T", "p": "fp32", "index": "u8", "grad_z": "fp32", "grad_x": "T"},
    "shuffle": {"x": "T", "logits": "fp32", "y": "T"},
}
CONSTANTS = {"ZETA": 4, "MEMBERS": 4, "INDEXED": True, "SPLIT": 4096, "A": 8, "B": 16, "ROW_A": 8, "ROW_B": 16}


@pytest.mark.parametrize(("dtype", "capability"), [("fp32", 90), ("bf16", 80), ("fp16", 75)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", POINTERS)
def test_compiles_to_wide_reads_and_writes(name, last, dtype, capability):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from search_spaces.kernels.gpu import pix, shuffle

    if not Path(triton.__file__).parent.joinpath("backends/nvidia/bin/ptxas").exists():
        pytest.skip("this Triton has no assembler for these GPUs")
    kernel = getattr(shuffle if name == "shuffle" else pix, name)
    wide, tall = (64, 16) if last else (1, 1024)
    constants = {**CONSTANTS, "SUBSETS": wide, "CHANNELS": wide, "PIXELS": tall}
    signature, fixed, aligned = {}, {}, {}
    for i, argument in enumerate(kernel.arg_names):
        signature[argument] = "fp32" if argument == "tau" else "i32"
        if argument in constants:
            signature[argument], fixed[i,] = "constexpr", constants[argument]
        elif argument in POINTERS[name]:
            signature[argument] = "*" + POINTERS[name][argument].replace("T", dtype)
            aligned[i,] = [["tt.divisibility", 16]]
        elif argument.endswith("_pixel") if not last else argument in {"x_channel", "y_subset"}:
            signature[argument], fixed[i,] = "constexpr", 1  # as a launch does with a stride of one
        elif argument != "tau":
            aligned[i,] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert compiled.asm["cubin"]
    code = compiled.asm["ptx"]
    assert "st.global.v" in code or name == "dot"  # its sums are few
    assert "ld.global.v" in code


def test_kernels_that_fail_are_given_up(monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "_gpu", True)

    def failing():
        raise RuntimeError("no kernel image")

    assert dispatch.on_gpu(torch.ones(1), failing) is None
    assert "no kernel image" in caplog.text and not dispatch._gpu

    def full():
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        dispatch.on_gpu(torch.ones(1), full)


TYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


@pytest.mark.gpu
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("shape", "zeta"), [((8, 256, 28, 28), 4), ((3, 19, 5, 7), 3), ((2, 64, 9, 9), 1)])
def test_on_a_gpu(shape, zeta, last, dtype):
    torch.manual_seed(0)
    layout, tolerance = torch.channels_last if last else torch.contiguous_format, TYPES[dtype]
    layer = PiX(shape[1], zeta=zeta).cuda()
    x = torch.randn(shape, device="cuda").to(dtype).contiguous(memory_format=layout).requires_grad_()
    grad = torch.randn(shape[0], layer.out_channels, *shape[2:], device="cuda").to(dtype)
    got = torch.autograd.grad(layer(x), (x, layer.context.weight), grad)
    assert dispatch._gpu
    for one, other in zip(
        got, plain_backward(grad.float(), x.float(), layer.context.weight, zeta=zeta, tau=0.5), strict=True
    ):
        torch.testing.assert_close(one.float(), other, rtol=0, atol=tolerance * float(other.abs().max()))
    shuffled = DynamicShuffle(shape[1] // 2 * 2, groups=2).eval().cuda()
    part = x.detach().float()[:, : shape[1] // 2 * 2].contiguous(memory_format=layout)
    with torch.no_grad():
        fast = shuffled(part)
        with plain_operators():
            assert torch.equal(fast, shuffled(part))
    assert dispatch._gpu
