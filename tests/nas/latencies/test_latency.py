"""Building a table, searching by it, measuring the front again; and tables that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas import front, latency, search
from nas.latencies.objectives import read_tables

QUICK = ["--space", "pix", "--blocks", "20", "--networks", "4", "--turns", "4"]
SEARCH = [
    "--space",
    "pix",
    "--budget",
    "2",
    "--epochs",
    "1",
    "--train-images",
    "64",
    "--backend",
    "in_process",
    "--algorithm",
    "random",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "here.json"
    assert latency.main([*QUICK, "--to", str(path)]) == 0
    return path


def named(table: Path, name: str, **about: object) -> Path:
    data = json.loads(table.read_text())
    copy = table.with_name(f"{name}.json")
    copy.write_text(json.dumps({**data, "name": name, "about": {**data["about"], **about}}))
    return copy


def test_a_table_tells_what_it_is_of_and_how_far_it_is_off(table: Path) -> None:
    data = json.loads(table.read_text())
    assert len(data["entries"]) == 20 and all(value > 0 for value in data["entries"].values())
    assert data["about"]["runtime"] == "torch" and data["about"]["threads"] == 1 and data["name"] == "here"
    assert {"median_error", "tau", "tau_ceiling", "repeat_error", "disturbed"} <= set(data["check"])


def test_a_search_by_a_table_measures_its_front_again(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = [
        "--objectives",
        "accuracy,latency_ms",
        "--latency-table",
        str(table),
        "--limit",
        "latency_ms<=50",
        "--out",
        str(run),
    ]
    assert search.main([*SEARCH, *options]) == 0
    assert "latency_ms measured" in capsys.readouterr().out
    assert front.main([str(run), "--json"]) == 0
    for member in json.loads(capsys.readouterr().out)["front"]:
        assert member["scores"]["latency_ms"] > 0 and member["measured"]["latency_ms"]["median_ms"] > 0
        assert 0 <= member["confidence"] <= 1
    table_before = table.read_text()
    try:
        table.write_text(table_before + " ")
        assert search.main(["--resume", str(run), "--budget", "3"]) == 2
        assert "a latency table has changed" in capsys.readouterr().err
    finally:
        table.write_text(table_before)
    assert search.main(["--resume", str(run), "--settle", "1"]) == 0
    assert front.main([str(run), "--json"]) == 0
    data = json.loads(capsys.readouterr().out.split("\n{", 1)[-1].join(["{", ""]))
    assert data["trials"]["finished"] == 3


def test_several_tables_are_several_objectives(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phone = named(table, "phone", device_name="a phone")
    options = ["--latency-table", str(table), "--latency-table", str(phone), "--out", str(tmp_path / "run")]
    assert search.main([*SEARCH, "--objectives", "accuracy,latency_ms@here,latency_ms@phone", *options]) == 0
    assert "latency_ms@phone is of a phone, which is not this machine" in capsys.readouterr().out


def test_tables_that_do_not_fit(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = tmp_path / "twin.json"
    twin.write_text(table.read_text())
    classes = named(table, "classes", input={"channels": 1, "resolution": 32, "classes": 7})
    for options, words in (
        (["--latency-table", "none.json"], "there is no latency table at 'none.json'"),
        (["--space", "mux", "--latency-table", str(table)], "was built for space 'pix' and 'mux' is searched"),
        (["--latency-table", str(table), "--latency-table", str(twin)], "names two tables 'here'"),
        (["--latency-table", str(classes)], "build one for them"),
        (["--settle", "2"], "give it with --resume RUN"),
    ):
        assert search.main([*SEARCH, *options, "--out", str(tmp_path / "run")]) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert list(read_tables([str(table)], space="pix")) == ["latency_ms"]


def test_a_folder_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert latency.main([*QUICK, "--to", "no/such/t.json"]) == 2
    assert "needs a folder that exists" in capsys.readouterr().err
