"""The doctor: healthy runs are healthy, every kind of damage is named, and --repair loses nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nas import doctor
from nas.archive import Archive
from nas.run import RunFolder
from tests.faults.driver import session

OPTIONS = {
    "config": {"budget": 8, "backend": "in_process", "algorithm": "random"},
    "stub": {"weights": True, "faults": {"raise": 0.2}},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    session(run, OPTIONS).run()
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def content(run: Path) -> dict[str, bytes]:
    return {str(file.relative_to(run)): file.read_bytes() for file in run.rglob("*") if file.is_file()}


def weights(run: Path) -> list[Path]:
    return sorted((run / "weights").iterdir())


def damage_line(run: Path) -> None:
    lines = (run / "study.journal").read_bytes().splitlines(keepends=True)
    lines[20] = b"\0" * 30 + b"\n"
    (run / "study.journal").write_bytes(b"".join(lines))


def lose_trials(run: Path) -> None:
    lines = (run / "study.journal").read_bytes().splitlines(keepends=True)
    (run / "study.journal").write_bytes(b"".join(lines[:-8]))


def unrecorded(run: Path) -> None:
    """As a run of a version that recorded no checksums, with one file cut short."""
    text = (run / "study.journal").read_text().replace("weights_sha256", "weights_note")
    (run / "study.journal").write_text(text)
    weights(run)[0].write_bytes(b"\x10\0\0\0\0\0\0\0" + b"{}")


def change_architecture(run: Path) -> None:
    text = (run / "study.journal").read_text()
    changed = re.sub(r'"resolution":(\d+)', r'"resolution":-\1', text, count=1)
    assert changed != text
    (run / "study.journal").write_text(changed)


def append(name: str, text: bytes) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        with open(run / name, "ab") as file:
            file.write(text)

    return change


def put(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn tail": (append("study.journal", b'{"op_code": 5, "wor'), "the last line is torn"),
    "middle": (damage_line, "line 21 of"),
    "architecture": (change_architecture, "the architecture is damaged in trials 0"),
    "end lost": (lose_trials, "its end is lost"),
    "foreign": (put("study.journal", "Dear diary\n"), "line 1 of 1 is damaged"),
    "journal missing": (lambda run: (run / "study.journal").unlink(), "restore it from a backup"),
    "weights missing": (lambda run: weights(run)[0].unlink(), "missing: "),
    "weights damaged": (lambda run: weights(run)[1].write_bytes(b"abc"), "checksum"),
    "weights of old": (unrecorded, "no safetensors header"),
    "config": (put("config.toml", "budget = many\n"), "no valid TOML"),
    "config key": (put("config.toml", "budgit = 3\n"), "did you mean 'budget'"),
    "environment": (put("environment.json", "[]"), "must hold a JSON object"),
    "format": (put("environment.json", '{"format": 0}'), "use the version that made it"),
    "events": (append("events.jsonl", b'{"time": 3, "ev'), "lines are damaged"),
    "remains": (put("weights/0123.safetensors.77.part", "x"), "1 writes were cut short"),
}
SAFE = {"torn tail", "events", "remains"}


def test_a_healthy_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(run)
    assert doctor.main([str(run)]) == 0
    output = capsys.readouterr().out
    assert "healthy" in output and "8 finished" in output and "8 files are whole" in output
    assert content(run) == before


@pytest.mark.parametrize("name", DAMAGE)
def test_every_damage_is_named_with_its_repair(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, words = DAMAGE[name]
    change(run)
    before = content(run)
    assert doctor.main([str(run)]) == 2
    output = capsys.readouterr().out
    assert words in output and "repair: " in output
    assert content(run) == before, "looking changes nothing"
    assert doctor.main([str(run), "--repair"]) == (0 if name in SAFE else 2)
    if name not in SAFE:
        before.pop("lock")
        after = content(run)
        after.pop("lock")
        assert after == before, "what is not safe is not touched"


def test_a_run_that_is_going_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunFolder.open(run).locked():
        assert doctor.main([str(run)]) == 0
        assert f"process {os.getpid()}" in capsys.readouterr().out
        assert doctor.main([str(run), "--repair"]) == 2
        assert "is being driven by" in capsys.readouterr().err


def test_no_run_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([str(tmp_path / "none")]) == 2
    assert "there is no run" in capsys.readouterr().err
    assert doctor.main([str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_the_advice_for_a_damaged_middle_keeps(run: Path) -> None:
    whole = list(Archive.open(run).trials)
    damage_line(run)
    lines = (run / "study.journal").read_bytes().splitlines(keepends=True)
    (run / "study.journal").write_bytes(b"".join(lines[:20]))
    kept = [trial for trial in Archive.open(run).trials if trial.state != "running"]
    assert kept and kept == whole[: len(kept)]
    assert json.loads((run / "environment.json").read_text())["format"] == 1
