"""The `--html` and `--watch` parts of `nas.front`."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from synthetic import Synthetic, synthetic, write_run

from nas.front import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "my run"
    write_run(path, synthetic(12))
    return path


def test_html_writes_a_page_that_names_the_run(run: Path, tmp_path: Path) -> None:
    assert main([str(run), "--html", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>my run · Pareto front</title>" in text
    assert f"'{run}'" in text


def test_a_run_is_read_and_its_page_written_without_torch(run: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from nas.front import main
assert main([{str(run)!r}, "--html", {str(tmp_path / "page.html")!r}]) == 0
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_help_starts_within_half_a_second() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        text = subprocess.run([sys.executable, "-m", "nas.front", "--help"], check=True, capture_output=True).stdout
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5
    assert b"--watch" in text and b"--port" in text


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["--port", "80"], "--port and --host are of --watch: add it"),
        (["--host", "0.0.0.0"], "--port and --host are of --watch: add it"),
        (["--watch", "--json"], "--watch goes without --json"),
        (["--watch", "--html", "x.html", "--png", "x.png"], "--watch goes without --png, --html"),
    ],
)
def test_misuse_is_told_in_a_sentence(
    run: Path, arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), *arguments]) == 2
    assert fault in capsys.readouterr().err


def test_watching_what_is_no_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--watch"]) == 2
    assert "is no run" in capsys.readouterr().err


def test_a_page_waits_for_the_first_finished_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = synthetic(1)
    write_run(tmp_path / "run", Synthetic([], archive.objectives))
    assert main([str(tmp_path / "run"), "--html", str(tmp_path / "page.html")]) == 2
    assert "no finished trial yet" in capsys.readouterr().err
