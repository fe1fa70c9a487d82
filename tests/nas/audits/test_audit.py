"""The command, small: what it writes, what a search says of it, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluators.evaluation import Outcome
from evaluators.training.recipe import PROXY
from nas import audit
from nas.audits.record import path_of, sentence
from nas.workers.in_process import InProcess

SMALL = [
    "--space",
    "pix",
    "--networks",
    "4",
    "--limit",
    "macs<=500k",
    "--train-images",
    "120",
    "--backend",
    "in_process",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audits")
    assert audit.main([*SMALL, "--rungs", "1", "--epochs", "2", "--to", str(path)]) == 0
    return path


def test_an_audit_holds_everything(folder: Path) -> None:
    data = json.loads(path_of("pix", "digits", "proxy", folder=folder).read_text())
    assert data["networks"] == 4 and list(data["rungs"]) == ["1"] and data["epochs"] == 2 and data["seeds"] == 2
    row = data["rungs"]["1"]
    assert -1 <= row["tau_lower"] <= row["tau_upper"] <= 1 and row["seconds"] > 0 and len(row["accuracies"][0]) == 4
    assert data["macs"] == sorted(data["macs"]) and max(data["macs"]) <= 5e5
    assert set(data["counts"]) == {"macs", "params"} and data["cheapest"] in {None, 1}


def test_an_audit_that_was_broken_off_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, trained = InProcess.wait, 0

    def wait(self: InProcess, seconds: float) -> list[Outcome]:
        nonlocal trained
        if trained == stop_after:
            raise KeyboardInterrupt
        trained += 1
        return run(self, seconds)

    monkeypatch.setattr(InProcess, "wait", wait)
    command = [*SMALL, "--rungs", "1", "--epochs", "2", "--to", str(tmp_path)]
    stop_after = 5
    assert audit.main(command) == 130 and "the same command goes on" in capsys.readouterr().err
    (journal,) = tmp_path.iterdir()
    assert len(journal.read_text().splitlines()) == 5
    journal.write_text(journal.read_text()[:-40])  # a crash in mid-write: that training is done again
    stop_after = -1
    assert audit.main(command) == 0
    assert trained == 5 + 12 and [path.suffix for path in tmp_path.iterdir()] == [".json"]
    whole, pieces = (json.loads(path_of("pix", "digits", "proxy", folder=f).read_text()) for f in (folder, tmp_path))
    assert pieces["reference"] == whole["reference"]
    assert pieces["rungs"]["1"]["accuracies"] == whole["rungs"]["1"]["accuracies"]


def test_a_search_says_what_the_last_audit_found(folder: Path) -> None:
    data = json.loads(path_of("pix", "digits", "proxy", folder=folder).read_text())
    checksum, one = data["data"]["checksum"], replace(PROXY, epochs=1)

    def say(**changes: object) -> str:
        options = {"checksum": checksum, "recipe": one.to_json(), "train_images": 120, **changes}
        return sentence("pix", "digits", folder=folder, **options)  # type: ignore[arg-type]

    assert "1 epochs rank 4 networks as 2 do with Kendall τ" in say()
    assert "another recipe or other images" in say(checksum="0" * 16)
    assert "another recipe or other images" in say(train_images=0)
    assert "another recipe or other images" in say(recipe=replace(one, batch_size=64).to_json())
    assert "--rungs 7" in say(recipe=replace(one, epochs=7).to_json())
    nobody = sentence("mux", "digits", checksum=checksum, recipe=one.to_json(), folder=folder)
    assert (
        nobody
        == "nobody has checked this proxy against longer training: python -m nas.audit --space mux --dataset digits"
    )
    path_of("mux", "digits", "proxy", folder=folder).write_text("{")
    assert "cannot be read" in sentence("mux", "digits", checksum=checksum, recipe=one.to_json(), folder=folder)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rungs", "1,x"], "takes numbers of epochs"),
        (["--rungs", "5", "--epochs", "5"], "must exceed the longest rung"),
        (["--networks", "3"], "must be at least 4"),
        (["--space", "pyx"], "did you mean 'pix'"),
        (["--limit", "macs<=1"], "4 networks are needed and 0 are there"),
        (["no-such-run"], "there is no run"),
        (["no-such-run", "--space", "pix"], "takes its --space from the run"),
    ],
)
def test_mistakes_are_sentences(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(["--networks", "4", "--to", str(tmp_path), "--backend", "in_process", *arguments]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())
