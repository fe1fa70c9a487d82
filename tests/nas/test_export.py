"""Exports: forms, certificate, model card, weights of the search and of full training; on one small search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import export, search
from nas.exports.forms import FORMS, onnx_session
from nas.exports.onnx_macs import onnx_macs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    small = ["--epochs", "1", "--backend", "in_process", "--limit", "macs<=600k", "--algorithm", "random"]
    assert search.main(["--space", "pix", "--budget", "4", "--out", str(path), *small]) == 0
    return path


@pytest.fixture(scope="module")
def certified(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exports") / "out"
    wishes = ["--int8", "--torchscript", "--certify"]
    assert export.main([str(run), "--pick", "best:accuracy", "--to", str(target), *wishes]) == 0
    return target


def test_a_certificate_measures_every_form_on_the_test_part(certified: Path) -> None:
    certificate = json.loads((certified / "certificate.json").read_text())
    assert set(certificate["forms"]) == set(FORMS)
    assert certificate["data"]["part"] == "test" and certificate["data"]["images"] == 359
    assert certificate["data"]["checksum"] and certificate["versions"]["torch"] and "seed" in certificate
    exact = [row for form, row in certificate["forms"].items() if "int8" not in form]
    assert len({row["accuracy"] for row in exact}) == 1
    for row in certificate["forms"].values():
        assert row["macs"] == certificate["macs_of_architecture"]
        assert 0 < row["latency_ms"]["lower"] <= row["latency_ms"]["median"] <= row["latency_ms"]["upper"]
        for name, digest in row["sha256"].items():
            assert len(digest) == 64 and (certified / name).is_file()
    assert certificate["forms"]["model.int8.onnx"]["bytes"] < certificate["forms"]["model.onnx"]["bytes"]
    text = (certified / "CERTIFICATE.md").read_text()
    assert all(f"| {form} |" in text for form in FORMS)


def test_the_accuracy_of_the_certificate_is_that_of_the_model(certified: Path) -> None:
    from evaluators.training.datasets import load
    from evaluators.training.train import normalise

    certificate = json.loads((certified / "certificate.json").read_text())
    size = json.loads((certified / "architecture.json").read_text())["input"]["resolution"]
    data = load("digits").at(size)
    session = onnx_session(certified / "model.onnx", threads=1)
    (logits,) = session.run(None, {"images": normalise(data.test.images, data).contiguous().numpy()})
    accuracy = float(np.mean(logits.argmax(1) == data.test.labels.numpy()))
    assert accuracy == pytest.approx(certificate["forms"]["model.onnx"]["accuracy"], abs=1e-9)


def test_the_model_card_is_read_by_hubs(certified: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard((certified / "README.md").read_text())
    assert card.data.library_name == "pytorch" and card.data.pipeline_tag == "image-classification"
    (result,) = card.data.eval_results
    assert result.dataset_split == "test" and 0 < result.metric_value <= 1


def test_the_python_of_the_model_card_runs(certified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (certified / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.syspath_prepend(str(certified))
    exec(compile(code, "README.md", "exec"), {})


def test_the_source_passes_ruff(certified: Path) -> None:
    import subprocess
    import sys

    for command in (["check"], ["format", "--check", "--line-length", "120"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(certified / "model.py")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_macs_of_onnx_are_counted_from_its_own_nodes(tmp_path: Path) -> None:
    from nas.exports.forms import write_onnx

    network = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 5),
    ).eval()
    write_onnx(network, torch.zeros(2, 4, 10, 10), tmp_path / "m.onnx")
    assert onnx_macs(tmp_path / "m.onnx") == 5 * 5 * 8 * (4 // 2) * 9 + 8 * 5


def test_all_exports_each_member_into_its_own_folder(run: Path, tmp_path: Path) -> None:
    from nas.archive import Archive

    assert export.main([str(run), "--pick", "all", "--to", str(tmp_path / "all")]) == 0
    keys = {member.trial.key for member in Archive.open(run).front()}
    assert {folder.name for folder in (tmp_path / "all").iterdir()} == keys
    assert all((tmp_path / "all" / key / "model.onnx").is_file() for key in keys)


def test_weights_of_full_training_are_taken_where_there_are_any(run: Path, tmp_path: Path, capsys: object) -> None:
    from nas.archive import Archive
    from nas.exports.rebuild import find_weights
    from nas.run import RunFolder
    from nas.training.results import folder_of, write_result

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    target = [str(copy), "--pick", "best:accuracy", "--to"]
    assert export.main([*target, str(tmp_path / "none"), "--weights", "trained"]) == 2
    assert "nas.train" in capsys.readouterr().err  # type: ignore[attr-defined]
    archive, folder = Archive.open(copy), RunFolder.open(copy)
    key = max(archive.front(), key=lambda member: member.scores["accuracy"]).trial.key
    place = folder_of(folder, key=key, label="full-1ep")
    place.mkdir(parents=True)
    shutil.copy(folder.weights_of(key, 0), place / "seed-0.safetensors")
    end = {"seed": 0, "torch_seed": 7, "test_accuracy": 0.5, "history": []}
    (place / "seed-0.json").write_text(json.dumps(end))
    assert write_result(place, {"key": key, "label": "full-1ep", "recipe": {"name": "full"}, "finished": "2026"})
    assert export.main([*target, str(tmp_path / "out")]) == 0
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["weights"]["kind"] == "trained" and card["weights"]["label"] == "full-1ep" and card["seed"] == 7
    assert "accuracy_again" not in card
    (member,) = [m for m in archive.front() if m.trial.key == key]
    assert find_weights(folder, member, which="search") == (folder.weights_of(key, 0), None)
