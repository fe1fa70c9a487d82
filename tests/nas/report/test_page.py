import base64
import hashlib
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import Synthetic, synthetic

from nas.problem import Trial
from nas.report.page import page, policy, to_json

HOSTILE = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>{{policy}}"


def written(archive: Synthetic, **options: str) -> str:
    return page(archive, archive.front(), **{"title": "run", **options})  # type: ignore[arg-type]


class Scripts(HTMLParser):
    """The content of scripts and styles as a browser delimits them, and every address that the page names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self._text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag in {"script", "style"}:
            self._open, self._text = (tag, dict(attrs)), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if self._open is not None and tag == self._open[0]:
            self.found.append((*self._open, self._text))
            self._open = None


@pytest.fixture(scope="module")
def scripts() -> Scripts:
    return Scripts(written(synthetic(30), title=HOSTILE))


def test_only_scripts_and_styles_that_the_policy_names_by_hash_are_in_the_page(scripts: Scripts) -> None:
    rules = policy(live=False)
    kinds = [(tag, attributes.get("type")) for tag, attributes, _ in scripts.found]
    assert kinds == [("style", None), ("script", "application/json"), ("script", None), ("script", None)]
    for _, attributes, content in scripts.found:
        if attributes.get("type") is None:
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in rules
    assert "unsafe-eval" not in rules and "script-src 'unsafe" not in rules
    assert "default-src 'none'" in rules and "connect-src 'none'" in rules
    assert "connect-src 'self'" in policy(live=True)


def test_the_page_names_no_address_and_no_handler(scripts: Scripts) -> None:
    assert scripts.handlers == []
    assert all(address.startswith("#") or address == "data:," for address in scripts.addresses)


def test_hostile_text_stays_text(scripts: Scripts) -> None:
    data = json.loads(scripts.found[1][2])
    assert data["title"] == HOSTILE


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_within_a_script_is_read_back_and_never_ends_it(value: object) -> None:
    text = to_json({"value": value})
    assert "<" not in text and text.isascii()
    assert json.loads(text) == {"value": value}


def test_scores_that_are_no_numbers_are_left_out() -> None:
    archive = synthetic(4, failed=0, objectives="accuracy,macs")
    trial = archive.trials[0]
    odd = Trial(**{**vars(trial), "scores": {**trial.scores, "latency_ms": float("inf")}})
    found = Scripts(written(Synthetic([odd, *archive.trials[1:]], archive.objectives)))
    data = json.loads(found.found[1][2])
    assert data["members"][0]["scores"][[axis["name"] for axis in data["axes"]].index("latency_ms")] is None


def test_a_page_of_a_thousand_trials_is_written_within_two_seconds() -> None:
    archive = synthetic(1000, objectives="accuracy,macs,params,latency_ms", replicates=20)
    start = time.process_time()
    text = written(archive)
    assert time.process_time() - start < 2
    assert len(text) < 8_000_000


def test_text_stands_out_from_its_ground_in_both_themes() -> None:
    style = Scripts(written(synthetic(1))).found[0][2]
    for block in re.findall(r":root[^{]*\{([^}]*)\}", style):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for ink, ground in [
            *((ink, ground) for ink in ("ink", "muted") for ground in ("card", "ground", "soft")),
            *((ink, "card") for ink in ("accent", "knee", "bad")),
            ("on-accent", "accent"),
        ]:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_neither_page_nor_server_imports_torch() -> None:
    code = "import sys, nas.report.page, nas.serve, nas.front; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
