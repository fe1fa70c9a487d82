"""The live page in a real Chromium: it follows the run and keeps what was chosen, filtered and focused."""

import threading
from collections.abc import Callable
from pathlib import Path

from conftest import Watched
from synthetic import add_trial, synthetic, write_run

from nas.serve import Source, make_server


def test_the_live_page_follows_the_run_and_keeps_its_place(visit: Callable[..., Watched], tmp_path: Path) -> None:
    archive = synthetic(40, failed=0.1, seed=5)
    written = write_run(tmp_path / "run", archive, upto=0)
    server = make_server(Source(str(tmp_path / "run")), token="token")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        watched = visit(f"{address}token/", complaints_allowed=True)
        page = watched.page
        page.get_by_text("live", exact=True).wait_for()
        page.get_by_text("No trial has finished yet.").wait_for()
        for trial in archive.trials[:25]:
            add_trial(written, trial)
        page.get_by_role("slider", name="Filter by stage1.mixer").wait_for(timeout=15_000)
        page.locator("#trials tbody button").last.click()
        chosen = page.locator("#chosen .badge").first.inner_text()
        page.get_by_label("Horizontal").select_option("params")
        axis = page.get_by_role("slider", name="Filter by resolution")
        axis.focus()
        axis.press("ArrowUp")
        kept = axis.get_attribute("aria-valuetext")

        for trial in archive.trials[25:]:
            add_trial(written, trial)
        finished = sum(trial.state == "finished" for trial in archive.trials)
        page.wait_for_function(
            "(n) => document.querySelector('#figures strong').textContent === n", arg=str(finished), timeout=15_000
        )
        assert page.locator("#chosen .badge").first.inner_text() == chosen
        assert page.get_by_label("Horizontal").input_value() == "params"
        assert axis.get_attribute("aria-valuetext") == kept
        assert page.evaluate("document.activeElement.dataset.focus") == "resolution"
        assert watched.complaints == []
        assert {url.removeprefix(f"{address}token/") for url in watched.requests} <= {"", "data.json", "data:,"}

        (tmp_path / "run" / "events.jsonl").write_text('{"event": "ended"}\n')
        page.get_by_text("search has ended").wait_for(timeout=15_000)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    page.get_by_text("no connection, trying again").wait_for(timeout=15_000)
    assert page.locator("#trials tbody tr").count() > 0
