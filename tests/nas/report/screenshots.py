"""Takes the pictures of docs/screenshots anew, of a run: `python tests/nas/report/screenshots.py RUN`; look before they are kept."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from conftest import FLAGS
from PIL import Image
from playwright.sync_api import sync_playwright

from nas.archive import Archive
from nas.report.beside import beside
from nas.report.page import page
from nas.run import RunFolder

TARGET = Path(__file__).parents[3] / "docs" / "screenshots"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}


def top(view: Any) -> None:
    """Points at a member of the front."""
    view.locator("#front").focus()
    for _ in range(2):
        view.keyboard.press("ArrowRight")


def filtered(view: Any) -> None:
    """Keeps a range on two axes."""
    view.locator("#facets").get_by_label("width").check()
    axis = view.get_by_role("slider", name="Filter by stage3.mixer")
    axis.press("ArrowUp")
    axis.press("ArrowUp")
    view.get_by_role("slider", name="Filter by accuracy").press("ArrowDown")
    view.keyboard.press("Shift+ArrowDown")
    view.evaluate(
        "window.scrollTo(0, document.getElementById('parallel-title').getBoundingClientRect().top + scrollY - 24)"
    )


def evidence(view: Any) -> None:
    """What the run tells as a whole."""
    view.evaluate(
        "window.scrollTo(0, document.getElementById('history-title').getBoundingClientRect().top + scrollY - 24)"
    )


def phone(view: Any) -> None:
    """The front on a phone."""
    view.evaluate(
        "window.scrollTo(0, document.getElementById('front-title').getBoundingClientRect().top + scrollY - 24)"
    )


def phone_chosen(view: Any) -> None:
    """The chosen architecture on a phone."""
    view.evaluate(
        "window.scrollTo(0, document.getElementById('chosen-title').getBoundingClientRect().top + scrollY - 24)"
    )


SHOTS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "front-light": (DESKTOP, "light", top),
    "front-dark": (DESKTOP, "dark", top),
    "filters-light": (DESKTOP, "light", filtered),
    "filters-dark": (DESKTOP, "dark", filtered),
    "evidence-light": (DESKTOP, "light", evidence),
    "evidence-dark": (DESKTOP, "dark", evidence),
    "phone-light": (PHONE, "light", phone),
    "phone-dark": (PHONE, "dark", phone_chosen),
}


def main() -> None:
    """Writes all pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    run = Path(sys.argv[1])
    archive = Archive.open(run)
    more = beside(RunFolder.open(str(run)), archive)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        text = page(archive, archive.front(), title=run.name, run=f"runs/{run.name}", beside=more)
        path.write_text(text, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (device, scheme, act) in SHOTS.items():
            context = browser.new_context(**device, color_scheme=scheme)
            view = context.new_page()
            view.goto(path.as_uri())
            act(view)
            view.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
            picture.quantize(192, dither=Image.Dither.NONE).save(TARGET / f"{name}.png", optimize=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
