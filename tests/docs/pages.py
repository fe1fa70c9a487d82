"""Reads the blocks of a page and what its comments say about running them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"(?:<!-- test: (?P<note>[^\n]*?) -->\n)?^```(?P<language>bash|python)\n(?P<code>.*?)^```$", re.M | re.S
)
_REPLACE = re.compile(r'replace "([^"]+)" with "([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A block of a page; `code` is what the page shows, `runs` what the test runs, `skipped` why it runs nothing."""

    language: str
    code: str
    runs: str
    skipped: str


def blocks(page: Path) -> list[Block]:
    """The bash and python blocks of a page, in order.

    Raises:
        ValueError: a comment that is not understood, or that replaces what is not there.
    """
    found = []
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        note, code = match["note"] or "", match["code"]
        runs, skipped = code, ""
        if note.startswith("not run, "):
            skipped = note.removeprefix("not run, ")
        elif note:
            replacements = _REPLACE.findall(note)
            if not replacements or '"; '.join(f'replace "{a}" with "{b}' for a, b in replacements) + '"' != note:
                raise ValueError(
                    f"{page.name}: a test comment is 'not run, REASON' or 'replace \"A\" with \"B\"', got {note!r}"
                )
            for old, new in replacements:
                if old not in code:
                    raise ValueError(f"{page.name}: a test comment replaces {old!r}, which its block lacks")
                runs = runs.replace(old, new)
        found.append(Block(match["language"], code, runs, skipped))
    return found
