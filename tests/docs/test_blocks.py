"""Every block of README.md and docs/: its flags exist (fast), and it runs (slow), in order, in a folder with images of its own."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks
from tests.images import write_digits

COMMAND = re.compile(r"python -m (nas\.\w+)(.*)")


@functools.cache
def help_of(command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_their_flags_exist(page: Path) -> None:
    """Everywhere on a page, in blocks and in running text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, rest in COMMAND.findall(text):
        words = re.split(r"[`#|)]", rest)[0]
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", words):
            assert flag in help_of(command), f"{page.name}: {command} has no {flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_comments_are_understood() -> None:
    assert sum(len(blocks(page)) for page in PAGES) >= 15
    unrun = [block for page in PAGES for block in blocks(page) if block.skipped]
    assert len(unrun) <= 4, "blocks that no test runs are exceptions, each with its reason"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(not b.skipped for b in blocks(page))], ids=lambda p: p.stem
)
@pytest.mark.slow
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "my-images", each=24)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    for number, block in enumerate(blocks(page), 1):
        if block.skipped:
            print(f"{page.name}: block {number} is not run: {block.skipped}")
            continue
        if block.language == "python":
            file = tmp_path / f"block{number}.py"
            file.write_text(block.runs, encoding="utf-8")
            script = f"python {shlex.quote(str(file))}"
        else:
            script = block.runs
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{page.name}, block {number}:\n{script}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        )
        assert "Traceback" not in done.stderr
