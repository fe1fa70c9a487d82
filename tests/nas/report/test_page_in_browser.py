"""The page in a real Chromium: what people click, drag, type and tap does what it says, and nothing is complained about."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Watched
from synthetic import Synthetic, synthetic

from evaluators.objective import OBJECTIVES
from nas.pick import knee_of
from nas.problem import Trial
from nas.report.beside import Beside
from nas.report.page import page
from nas.training.results import Result

Visit = Callable[..., Watched]
HOSTILE = "</script><img src=x onerror='window.hit=1'><b>"


@pytest.fixture(scope="module")
def archive() -> Synthetic:
    return synthetic(240, objectives="accuracy,macs,latency_ms", replicates=30)


@pytest.fixture(scope="module")
def url(archive: Synthetic, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(archive, tmp_path_factory.mktemp("page"))


def written(archive: Synthetic, folder: Path, *, title: str = "mixed-digits-1") -> str:
    path = folder / "report.html"
    path.write_text(page(archive, archive.front(), title=title, run=f"runs/{title}"), encoding="utf-8")  # type: ignore[arg-type]
    return path.as_uri()


def chosen(watched: Watched) -> str:
    return str(watched.page.locator("#chosen .badge").first.inner_text())


def spot(watched: Watched, key: str) -> tuple[float, float]:
    """Where a member of the front stands in the window."""
    place: list[float] = watched.page.evaluate(
        """(key) => {
          const node = document.getElementById("front");
          for (const [curve, trace] of node.data.entries()) {
            const at = trace.mode === "markers" ? trace.customdata.indexOf(key) : -1;
            if (at < 0) continue;
            const { xaxis, yaxis } = node._fullLayout;
            const box = node.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.d2p(trace.x[at]), box.top + yaxis._offset + yaxis.d2p(trace.y[at])];
          }
        }""",
        key,
    )
    return place[0], place[1]


def axis_box(watched: Watched, name: str) -> dict[str, float]:
    box: dict[str, float] = watched.page.locator(f'#parallel g[data-focus="{name}"] .hit').bounding_box()
    return box


def test_it_opens_on_the_knee_and_asks_for_nothing(visit: Visit, url: str, archive: Synthetic) -> None:
    watched = visit(url)
    knee = knee_of(archive.front(), archive.objectives)
    assert chosen(watched) == f"trial {knee.trial.number}"
    assert watched.page.locator("#chosen .badge.knee").is_visible()
    assert [u for u in watched.requests if not u.startswith(("file:", "data:", "blob:"))] == []
    figures = watched.page.locator("#figures").inner_text()
    assert f"{len(archive.front())}\non the front" in figures


def test_pointing_shows_the_architecture_and_clicking_chooses_it(visit: Visit, url: str, archive: Synthetic) -> None:
    watched = visit(url)
    member = archive.front()[0]
    x, y = spot(watched, member.trial.key)
    watched.page.mouse.move(x - 3, y)
    watched.page.mouse.move(x, y)
    tip = watched.page.locator("#tip")
    tip.wait_for(state="visible")
    assert f"Trial {member.trial.number}" in tip.inner_text()
    assert tip.locator("li").count() == len(member.trial.architecture["stages"]) + 2
    watched.page.mouse.click(x, y)
    watched.page.wait_for_function(
        "(n) => document.querySelector('#chosen .badge').textContent === n", arg=f"trial {member.trial.number}"
    )
    assert f"--pick key:{member.trial.key}" in watched.page.locator("#command").inner_text()
    assert watched.page.locator("#chosen tbody tr").count() == len(member.trial.architecture["stages"]) + 2
    assert "%" in watched.page.locator("#chosen .meter").first.inner_text()
    assert (
        watched.page.locator('#trials tr[aria-current="true"] button').inner_text().endswith(str(member.trial.number))
    )


def test_axes_and_colour_can_be_switched(visit: Visit, url: str) -> None:
    watched = visit(url)
    watched.page.get_by_label("Horizontal").select_option("latency_ms")
    watched.page.get_by_label("Vertical").select_option("macs")
    assert "MACs (less is better) against latency (less is better)" in watched.page.locator("#front").get_attribute(
        "aria-label"
    )
    assert watched.page.locator("#front .xtitle").text_content() == "latency (less is better)"
    watched.page.get_by_label("Colour").select_option("operator")
    assert "pix" in watched.page.locator("#front-legend").inner_text()
    line = watched.page.evaluate("document.getElementById('front').data[2]")
    assert line["x"] == sorted(line["x"]) and line["y"] == sorted(line["y"], reverse=True)
    watched.page.get_by_label("Horizontal").select_option("trial")
    assert watched.page.evaluate("document.getElementById('front').data[2].x.length") == 0


def test_error_bars_stand_where_a_spread_was_measured(visit: Visit, url: str) -> None:
    watched = visit(url)
    watched.page.get_by_label("Horizontal").select_option("latency_ms")
    bars = watched.page.evaluate("document.getElementById('front').data[4].error_x")
    assert sum(bars["array"]) > sum(bars["arrayminus"]) > 0  # passes are slower by more than they are faster
    assert watched.page.locator("#front .xerror").count() > 0


@pytest.mark.parametrize("device", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}])
def test_how_sure_a_member_is_and_its_full_training_stand_on_the_page(
    visit: Visit, archive: Synthetic, tmp_path: Path, device: dict[str, Any]
) -> None:
    keys = [member.trial.key for member in archive.front()]
    trained = Result(tmp_path, {"key": keys[0], "label": HOSTILE, "seeds": [{"seed": 0, "test_accuracy": 0.91}]})
    more = Beside(
        confidence={trial.key: 0.05 for trial in archive.trials} | {keys[0]: 0.73, keys[1]: 0.99},
        deviations={trial.key: {"accuracy": 0.01} for trial in archive.trials},
        basis="287 validation images",
        measured={keys[0]: {"latency_ms": {"median_ms": 3.21}}},
        trained=[trained],
    )
    path = tmp_path / "report.html"
    path.write_text(page(archive, archive.front(), title="run", beside=more), encoding="utf-8")  # type: ignore[arg-type]
    watched = visit(path.as_uri(), **device)
    table = watched.page.locator("#trials-table")
    assert "Trained in full, test accuracy" in table.inner_text() and "91.00 % (1 seed)" in table.inner_text()
    table.get_by_role("button", name="sure").click()
    table.get_by_role("button", name="sure").click()
    first = table.locator("tbody tr").first
    assert "99 %" in first.inner_text()
    table.locator("tbody tr").nth(1).get_by_role("button").click()
    scores = watched.page.locator("#chosen .scores").inner_text()
    assert (
        "sure\n73 %" in scores and "measured 3.21 ms" in scores and "91.00 % (1 seed)" in scores and HOSTILE in scores
    )
    assert watched.page.evaluate("window.hit") is None
    watched.page.get_by_label("Colour").select_option("sure")
    bars = watched.page.evaluate("document.getElementById('front').data[4].error_y.array")
    assert all(bar > 0 for bar in bars) and watched.page.locator("#sure-help").is_visible()
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_brushing_an_axis_filters_the_whole_page(visit: Visit, url: str, archive: Synthetic) -> None:
    watched = visit(url)
    watched.page.locator("#rows").get_by_text("all finished").click()
    watched.page.locator("#facets").scroll_into_view_if_needed()
    watched.page.mouse.wheel(0, -100)
    watched.settle()
    box = axis_box(watched, "stage1.mixer")
    pix = watched.page.locator(
        '#parallel g[data-focus="stage1.mixer"] text', has_text=re.compile("^pix$")
    ).bounding_box()
    watched.page.mouse.click(box["x"] + box["width"] / 2, pix["y"] + pix["height"] / 2)
    everyone = {t.key: t for t in archive.trials if t.state == "finished"}
    expected = sum(t.architecture["stages"][0]["mixer"] == "pix" for t in everyone.values())
    assert watched.page.locator("#matches").inner_text() == f"{expected} of {len(everyone)} architectures match"
    assert watched.page.locator("#trials-count").inner_text() == f"{min(100, expected)} of {expected} rows"
    assert sum(
        watched.page.evaluate(
            "document.getElementById('front').data.slice(0, 5).map((t) => t.mode === 'markers' ? t.x.length : 0)"
        )
    ) == len(everyone)

    box = axis_box(watched, "accuracy")
    middle = box["x"] + box["width"] / 2
    watched.page.mouse.move(middle, box["y"] + box["height"] * 0.5)
    watched.page.mouse.down()
    watched.page.mouse.move(middle, box["y"] + 10, steps=5)
    watched.page.mouse.up()
    fewer = int(watched.page.locator("#matches").inner_text().split()[0])
    assert 0 < fewer < expected
    watched.page.get_by_role("button", name="Clear filters").click()
    assert watched.page.locator("#matches").inner_text() == ""
    assert watched.page.locator("#trials-count").inner_text() == f"100 of {len(everyone)} rows"


def test_further_axes_can_be_shown_and_taken_away(visit: Visit, url: str) -> None:
    watched = visit(url)
    before = watched.page.locator("#parallel g[role=slider]").count()
    watched.page.locator("#facets").get_by_label("depth").check()
    assert watched.page.locator("#parallel g[role=slider]").count() == before + 4
    watched.page.locator("#facets").get_by_label("depth").uncheck()
    watched.page.locator("#facets").get_by_label("mixer").uncheck()
    assert watched.page.locator("#parallel g[role=slider]").count() == before - 4


def test_everything_can_be_done_with_the_keyboard(visit: Visit, url: str, archive: Synthetic) -> None:
    watched = visit(url)
    stops: list[str] = []
    for _ in range(60):
        watched.page.keyboard.press("Tab")
        stop = watched.page.evaluate(
            "(() => { const n = document.activeElement; return n.id || n.dataset.focus || n.className || n.tagName; })()"
        )
        if stop in {"BODY", ""}:
            break
        stops.append(stop)
    order = [
        "skip",
        "theme",
        "x",
        "y",
        "colour",
        "front",
        "copy",
        "network",
        "resolution",
        "accuracy",
        "trials",
        "front",
    ]
    assert [stop for stop in stops if stop in order] == order

    watched.page.locator("#front").focus()
    watched.page.keyboard.press("Home")
    assert watched.page.locator("#tip").is_visible()
    watched.page.keyboard.press("ArrowRight")
    by_macs = sorted(archive.front(), key=lambda member: member.scores["macs"])
    assert watched.page.locator("#say").inner_text().startswith(f"Trial {by_macs[1].trial.number}: accuracy ")
    watched.page.keyboard.press("Enter")
    assert chosen(watched) == f"trial {by_macs[1].trial.number}"
    assert watched.page.evaluate("document.activeElement.id") == "front"
    watched.page.keyboard.press("Escape")
    assert watched.page.locator("#tip").is_hidden()

    axis = watched.page.get_by_role("slider", name="Filter by stage2.mixer")
    axis.focus()
    watched.page.keyboard.press("ArrowUp")
    assert axis.get_attribute("aria-valuetext") == "conv1x1"
    watched.page.keyboard.press("Shift+ArrowUp")
    assert axis.get_attribute("aria-valuetext") == "conv1x1, mux"
    assert "match" in watched.page.locator("#say").inner_text()
    watched.page.keyboard.press("Escape")
    assert axis.get_attribute("aria-valuetext") == "all"

    button = watched.page.locator("#trials tbody button").nth(2)
    button.focus()
    watched.page.keyboard.press("Enter")
    assert chosen(watched) == f"trial {button.inner_text().removeprefix('◆ ')}"
    assert watched.page.evaluate("document.activeElement.closest('#trials') !== null")


def test_every_control_has_a_name_and_every_chart_a_description(visit: Visit, url: str) -> None:
    page = visit(url).page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, [role=slider], [role=img], [role=application]")]
          .filter((node) => !(node.getAttribute("aria-label") || node.labels?.length || node.textContent.trim()))
          .map((node) => node.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    for name in ("history", "operators"):
        assert len(page.locator(f"#{name}").get_attribute("aria-label")) > 20
    assert page.locator("main h1, header h1").count() == 1
    assert page.evaluate(
        "[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map((n) => n.id)).size"
    )


def test_the_table_sorts_and_shows_all(visit: Visit, url: str) -> None:
    page = visit(url).page
    page.locator("#rows").get_by_text("all finished").click()
    accuracy = page.get_by_role("button", name="accuracy")
    accuracy.click()
    accuracy.click()
    column = [float(text.rstrip(" %")) for text in page.locator("#trials tbody tr td:nth-child(2)").all_inner_texts()]
    assert column == sorted(column, reverse=True) and len(column) == 100
    assert page.locator("#trials th[aria-sort=descending]").inner_text().startswith("accuracy")
    page.get_by_role("button", name="Show 100 more").click()
    assert page.locator("#trials tbody tr").count() == 200


def test_hypervolume_is_shown_over_trials_and_hours(visit: Visit, url: str) -> None:
    page = visit(url).page
    assert "finished trials" in page.locator("#history .xtitle").text_content()
    page.locator("#history-by").get_by_text("hours").click()
    assert "of evaluation" in page.locator("#history .xtitle").text_content()
    assert "Hypervolume: from" in page.locator("#history").get_attribute("aria-label")


def test_failures_are_listed_by_kind(visit: Visit, url: str, archive: Synthetic) -> None:
    page = visit(url).page
    failed = [trial for trial in archive.trials if trial.state == "failed"]
    assert page.locator("#failures details").count() == len({trial.failure for trial in failed})
    page.locator("#failures summary").first.click()
    assert "made up" in page.locator("#failures details[open]").inner_text()


def test_the_command_is_copied(visit: Visit, url: str) -> None:
    page = visit(url, permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_one_is_chosen(visit: Visit, url: str, scheme: str) -> None:
    page = visit(url, color_scheme=scheme).page

    def ground() -> int:
        return sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))))

    assert (ground() < 200) == (scheme == "dark")
    page.get_by_label("Theme").select_option("light" if scheme == "dark" else "dark")
    assert (ground() < 200) == (scheme == "light")
    page.get_by_label("Theme").select_option("auto")
    assert (ground() < 200) == (scheme == "dark")
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    assert ground() > 600


def test_a_phone_shows_it_without_scrolling_sideways_and_a_tap_chooses(
    visit: Visit, url: str, archive: Synthetic
) -> None:
    watched = visit(url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
    member = archive.front()[-1]
    watched.page.locator("#front").scroll_into_view_if_needed()
    watched.page.touchscreen.tap(*spot(watched, member.trial.key))
    watched.page.wait_for_function(
        "(n) => document.querySelector('#chosen .badge').textContent === n", arg=f"trial {member.trial.number}"
    )


def test_without_motion_colour_or_javascript_the_page_still_says_what_to_do(visit: Visit, url: str) -> None:
    page = visit(url, java_script_enabled=False).page
    assert "python -m nas.front RUN" in page.locator("noscript").inner_text()


def test_hostile_names_run_nothing(visit: Visit, archive: Synthetic, tmp_path: Path) -> None:
    def spoilt(trial: Trial) -> Trial:
        architecture: dict[str, Any] = {**trial.architecture}
        stage = {**architecture["stages"][0], "mixer": HOSTILE, "tau": HOSTILE, HOSTILE: 1}
        architecture["stages"] = [stage, *architecture["stages"][1:]]
        return Trial(**{**vars(trial), "architecture": architecture, "key": trial.key + HOSTILE, "message": HOSTILE})

    spoiled = Synthetic([spoilt(t) for t in archive.trials], archive.objectives, recipe={"name": HOSTILE})
    watched = visit(written(spoiled, tmp_path, title="x" + HOSTILE.replace("/", "")))
    watched.page.locator("#facets label").first.click()
    watched.page.locator("#trials tbody button").first.click()
    x, y = (
        watched.page.locator("#front").bounding_box()["x"] + 200,
        watched.page.locator("#front").bounding_box()["y"] + 200,
    )
    watched.page.mouse.move(x, y)
    watched.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    watched.settle()
    assert watched.page.evaluate("window.hit") is None
    assert watched.page.locator("main img").count() == 0
    assert "onerror" in watched.page.locator("#failures").inner_text()
    assert watched.page.locator("#command").count() == 0


def test_the_policy_stops_scripts_that_are_not_the_pages_own(visit: Visit, url: str) -> None:
    watched = visit(url, complaints_allowed=True)
    watched.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.hit = 1";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src='x:' onerror='window.hit = 2'>");
          fetch("https://example.org/").catch(() => {});
        }"""
    )
    watched.settle()
    assert watched.page.evaluate("window.hit") is None
    assert any("Content Security Policy" in complaint for complaint in watched.complaints)


def test_a_table_of_genes_has_a_page_too(visit: Visit, archive: Synthetic, tmp_path: Path) -> None:
    trials = [
        Trial(**{**vars(t), "architecture": {"table": "bench", "genes": {"x_0": i % 3, "x_1": i % 2}}, "details": {}})
        for i, t in enumerate(archive.trials)
    ]
    page = visit(written(Synthetic(trials, archive.objectives), tmp_path)).page
    assert page.locator("#operators-card").is_hidden()
    assert "x_0 " in page.locator("#chosen").inner_text()
    assert page.get_by_role("slider", name="Filter by x_0").is_visible()


def test_a_run_without_a_finished_trial_has_a_page(visit: Visit, tmp_path: Path) -> None:
    failed = [t for t in synthetic(40, failed=0.5).trials if t.state == "failed"]
    page = visit(written(Synthetic(failed, (OBJECTIVES["accuracy"], OBJECTIVES["macs"])), tmp_path)).page
    assert page.get_by_text("No trial has finished yet.").is_visible()
    assert page.locator("#failures details").count() > 0


@pytest.mark.parametrize("names, n", [("accuracy", 2), ("accuracy", 30), ("accuracy,macs,params,latency_ms", 1)])
def test_any_number_of_objectives_and_trials(visit: Visit, tmp_path: Path, names: str, n: int) -> None:
    watched = visit(written(synthetic(n, objectives=names, failed=0), tmp_path))
    assert watched.page.locator("#trials tbody tr").count() >= 1
    assert watched.page.locator("#front .main-svg").count() > 0


@pytest.mark.slow
def test_five_thousand_trials_stay_responsive(visit: Visit, tmp_path: Path) -> None:
    watched = visit(written(synthetic(5000, objectives="accuracy,macs,latency_ms"), tmp_path))
    for act in (
        lambda: watched.page.get_by_label("Horizontal").select_option("latency_ms"),
        lambda: watched.page.get_by_role("slider", name="Filter by stage1.mixer").press("ArrowUp"),
        lambda: watched.page.locator("#trials tbody button").nth(1).click(),
    ):
        start = time.perf_counter()
        act()
        watched.settle()
        assert time.perf_counter() - start < 1.5
