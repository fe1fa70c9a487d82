"""The commands as a user types them: one real search on digits, then everything that can be done with it; and bad input."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas import export, front, search

SMALL = ["--epochs", "1", "--backend", "in_process", "--limit", "macs<=1.5M", "--algorithm", "random"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    code = search.main(
        ["--space", "mixed", "--objectives", "accuracy,macs,latency_ms", "--budget", "4", "--out", str(path), *SMALL]
    )
    assert code == 0
    return path


def test_front_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main([str(run), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [o["name"] for o in data["objectives"]] == ["accuracy", "macs", "latency_ms"]
    assert [o["goal"] for o in data["objectives"]] == ["max", "min", "min"]
    assert data["trials"] == {"finished": 4, "pruned": 0, "failed": 0, "running": 0}
    assert 0 <= data["hypervolume"] <= 1
    points = np.array(
        [[-m["scores"]["accuracy"], m["scores"]["macs"], m["scores"]["latency_ms"]] for m in data["front"]]
    )
    assert len(points) >= 1
    for p in points:
        assert not ((points <= p).all(axis=1) & (points < p).any(axis=1)).any()
    assert all(m["scores"]["macs"] <= 1.5e6 for m in data["front"])


def test_front_as_table_csv_and_png(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main([str(run), "--csv", str(tmp_path / "f.csv"), "--png", str(tmp_path / "f.png")]) == 0
    assert "4 finished, 0 failed, 0 running" in capsys.readouterr().out
    with (tmp_path / "f.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and {"number", "key", "accuracy", "macs", "latency_ms", "params", "architecture"} <= set(rows[0])
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_spread_of_latency_seconds_and_memory_are_kept(run: Path) -> None:
    from nas.archive import open_study

    for trial in open_study(run).trials:
        details = trial.user_attrs["details"]
        assert (
            details["latency"]["lower_ms"] <= trial.user_attrs["scores"]["latency_ms"] <= details["latency"]["upper_ms"]
        )
        assert details["seconds"]["train"] > 0 and details["seconds"]["time"] > 0
        assert details["peak_memory_mb"] > 0
        assert sum(details["macs_by_stage"]) == trial.user_attrs["scores"]["macs"]


def test_export_stands_alone(run: Path, tmp_path: Path) -> None:
    assert export.main([str(run), "--pick", "best:accuracy", "--to", str(tmp_path / "out")]) == 0
    names = {f.name for f in (tmp_path / "out").iterdir()}
    texts = {"README.md", "architecture.json", "card.json"}
    assert names == {"weights.safetensors", "model.py", "model.onnx", "model.pt2"} | texts
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["accuracy_again"] == pytest.approx(card["scores"]["accuracy"], abs=0.005)
    source = (tmp_path / "out" / "model.py").read_text()
    assert not any(
        f"{word} {package}" in source
        for word in ("import", "from")
        for package in ("nas", "search_spaces", "evaluators")
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        "import importlib.util, torch\n"
        f"s = importlib.util.spec_from_file_location('model', {str(tmp_path / 'out' / 'model.py')!r})\n"
        "m = importlib.util.module_from_spec(s); s.loader.exec_module(m)\n"
        "n = m.load(); x = torch.zeros(3, 1, *[m.build and int(k) for k in (16, 16)])\n"
        "print(sum(p.numel() for p in n.parameters()))\n"
    )
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=empty, capture_output=True, text=True, env=clean, check=True
    )
    assert int(done.stdout) == card["scores"]["params"]
    helped = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "model.py"), "--help"],
        cwd=empty,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--weights" in helped.stdout
    style = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", str(tmp_path / "out" / "model.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert style.returncode == 0, style.stdout + style.stderr


def test_exports_of_every_mixer_agree(tmp_path: Path) -> None:
    """One network with all mixers: its standalone source and ONNX compute what it computes, on images of other branches too."""
    import torch
    from safetensors.torch import save_file

    from nas.exports.forms import check, logits_of, write_onnx, write_program
    from nas.exports.source import model_source
    from search_spaces.architecture import Architecture, Stage, Stem
    from search_spaces.network import build

    torch.manual_seed(0)
    architecture = Architecture(
        3,
        16,
        5,
        Stem(8),
        (
            Stage.of("pix", depth=2, width=16, stride=1, kernel=3, zeta=4, tau=0.5),
            Stage.of("conv1x1", depth=2, width=16, stride=2, kernel=3, zeta=2),
            Stage.of("shuffle", depth=2, width=32, stride=1, kernel=3, groups=2, shuffle="dynamic"),
            Stage.of("shuffle", depth=2, width=32, stride=1, kernel=3, groups=2, shuffle="static_dynamic"),
            Stage.of(
                "mux", depth=3, width=32, stride=2, kernels=(3,), scales=(-1, 0), ratio=0.5, expansion=2.0, squeeze=0.25
            ),
            Stage.of("inverted_residual", depth=1, width=32, stride=1, kernels=(3, 5), expansion=2.0),
        ),
        head=64,
    )
    network = build(architecture).eval()
    facts = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 2.0], "class_names": ["a", "b", 'c"', "d", "e"]}
    (tmp_path / "model.py").write_text(model_source(architecture, title="Test.", data=facts))
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "weights.safetensors")
    write_onnx(network, torch.randn(4, 3, 16, 16), tmp_path / "model.onnx")
    write_program(network, torch.randn(4, 3, 16, 16), tmp_path / "model.pt2")
    for batch in (1, 5):
        images = 3 * torch.randn(batch, 3, 16, 16)
        with torch.no_grad():
            reference = network(images)
        for form in ("model.py", "model.onnx", "model.pt2"):
            check(form, logits_of(form, tmp_path, images), reference)


def test_damaged_and_missing_weights_are_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for file in (copy / "weights").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert export.main([str(copy), "--to", str(tmp_path / "out")]) == 2
    assert "damaged" in capsys.readouterr().err
    for file in (copy / "weights").iterdir():
        file.unlink()
    assert export.main([str(copy), "--to", str(tmp_path / "out")]) == 2
    assert "missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and len(list(tmp_path.iterdir())) == 1


def test_resume_adds_budget_and_repeats_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    from nas.archive import open_study

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = [(t.user_attrs["key"], t.values) for t in open_study(copy).trials]
    with (copy / "study.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "torn')
    assert search.main(["--resume", str(copy), "--budget", "5"]) == 0
    after = [(t.user_attrs["key"], t.values) for t in open_study(copy).trials]
    assert after[:4] == before and len(after) == 5 and len({key for key, _ in after}) == 5
    assert "repaired" in (copy / "events.jsonl").read_text()
    assert search.main(["--resume", str(copy), "--seed", "9"]) == 2
    assert "keeps its --seed" in capsys.readouterr().err


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    import signal

    path = tmp_path / "run"
    command = [sys.executable, "-m", "nas.search", "--out", str(path), "--budget", "500", *SMALL]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (path / "weights").is_dir() or not list((path / "weights").glob("*.safetensors")):
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"python -m nas.search --resume {path}" in output
    assert "Traceback" not in output


BAD: dict[str, tuple[list[str], str]] = {
    "space": (["--space", "pxi"], "did you mean 'pix'"),
    "data set": (["--dataset", "digist"], "did you mean 'digits'"),
    "objective": (["--objectives", "accuracy,mac"], "did you mean 'macs'"),
    "one objective": (["--objectives", "accuracy"], "two or more"),
    "objective twice": (["--objectives", "macs,macs"], "twice"),
    "option value": (["--workers", "many"], "must be a whole number, got 'many'"),
    "budget 0": (["--budget", "0"], "must be at least 1, got 0"),
    "limit on trained": (["--limit", "accuracy>=0.9"], "bounds a counted objective"),
    "limit": (["--limit", "macs=3"], "NAME<=NUMBER"),
    "algorithm": (["--algorithm", "nsga"], "did you mean"),
    "missing data": (["--dataset", "cifar10", "--data-dir", "/nonexistent"], "--data-dir"),
    "missing folder": (["--dataset", "folder:/nonexistent"], "check the path"),
    "missing config": (["--config", "/nonexistent.toml"], "does not exist"),
    "missing run": (["--resume", "/nonexistent"], "there is no run"),
    "missing table": (["--space", "table:/nonexistent.csv"], "readable CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = BAD[case]
    out = [] if "--resume" in arguments else ["--out", str(tmp_path / "run")]
    assert search.main([*arguments, *out]) == 2
    error = capsys.readouterr().err
    assert expected in error and error.startswith("nas search: ") and len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_faults_are_reported_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.toml"
    config.write_text('budgett = 3\nseed = "x"\nspace = "pix"\n')
    assert search.main(["--config", str(config), "--budget", "0"]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'budget'" in error and "seed must be a whole number" in error and "at least 1" in error


def test_folders_that_are_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert search.main(["--out", str(tmp_path / "full")]) == 2
    assert "exists" in capsys.readouterr().err
    assert front.main([str(tmp_path / "full")]) == 2
    assert "is no run" in capsys.readouterr().err
    (tmp_path / "images").mkdir()
    assert search.main(["--dataset", f"folder:{tmp_path / 'images'}", "--out", str(tmp_path / "r")]) == 2
    assert "two or more folders with images" in capsys.readouterr().err
    assert sorted(f.name for f in tmp_path.iterdir()) == ["full", "images"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert search.main(["--out", str(tmp_path / "run")]) == 2
    assert "where you may write" in capsys.readouterr().err


def test_a_study_that_is_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "environment.json").write_text('{"format": 1}')
    (tmp_path / "study.journal").write_text("not a journal\n")
    assert front.main([str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "environment.json").write_text('{"format": 99}')
    assert front.main([str(tmp_path)]) == 2
    assert "format 99" in capsys.readouterr().err


def test_two_drivers_on_one_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nas.run import RunFolder

    with RunFolder.open(run).locked():
        code = subprocess.run(
            [sys.executable, "-m", "nas.search", "--resume", str(run), "--budget", "9"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert code.returncode == 2
    assert f"process {os.getpid()}" in code.stderr


def test_search_over_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = ["x_0,x_1,accuracy,accuracy_0,accuracy_1,macs"]
    lines += [
        f"{i},{j},{70 + i + j},{70 + i + j - 1},{70 + i + j + 1},{10 * i + j + 1}" for i in range(4) for j in range(4)
    ]
    path.write_text("\n".join(lines) + "\n")
    arguments: list[Any] = [
        "--space",
        f"table:{path}",
        "--budget",
        "16",
        "--backend",
        "in_process",
        "--out",
        str(tmp_path / "run"),
    ]
    assert search.main(arguments) == 0
    from nas.archive import open_study

    assert len(open_study(tmp_path / "run").trials) == 16
