"""A search that learns from an earlier run: what agrees is taken, what does not is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas import search
from nas.archive import open_study


def table(path: Path, *, best: int) -> str:
    rows = [f"{i},{j},{60 + i + (9 if i == j == best else 0)},{1 + i + j}" for i in range(8) for j in range(8)]
    path.write_text("\n".join(["x_0,x_1,accuracy,macs", *rows]) + "\n")
    return f"table:{path}"


def run(space: str, out: Path, *options: str) -> int:
    return search.main(["--space", space, "--backend", "in_process", "--budget", "12", "--out", str(out), *options])


def test_a_warm_start_begins_with_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = table(tmp_path / "t.csv", best=5)
    assert run(space, tmp_path / "cold") == 0
    assert run(space, tmp_path / "warm", "--from", str(tmp_path / "cold")) == 0
    cold, warm = ([t.user_attrs["key"] for t in open_study(tmp_path / name).trials] for name in ("cold", "warm"))
    assert len(set(warm)) == 12
    assert warm[:3] != cold[:3], "the same seed would begin with the same design"


def test_what_does_not_agree_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(table(tmp_path / "a.csv", best=5), tmp_path / "a") == 0
    assert run(table(tmp_path / "b.csv", best=3), tmp_path / "b", "--from", str(tmp_path / "a")) == 2
    assert "--from takes a run of the same" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    assert run(table(tmp_path / "a.csv", best=5), tmp_path / "c", "--reevaluate", "--algorithm", "nsga2") == 2
    assert "--reevaluate is the surrogate's" in capsys.readouterr().err
