"""Lets the suites import `synthetic`, and gives the browser tests pages in a real Chromium."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@dataclass
class Watched:
    """A page with everything that it complained about and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Waits until what was asked for has been drawn."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the session; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Watched]]:
    """`visit(url, **context)` opens a page; at the end of the test none may have complained or called out."""
    contexts, seen = [], []

    def open_page(url: str, *, complaints_allowed: bool = False, **options: Any) -> Watched:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.on(
            "console", lambda m: watched.complaints.append(m.text) if m.type in {"error", "warning"} else None
        )
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.on("request", lambda request: watched.requests.append(request.url))
        watched.page.goto(url)
        if not complaints_allowed:
            seen.append(watched)
        return watched

    yield open_page
    for context in contexts:
        context.close()
    for watched in seen:
        assert watched.complaints == []
