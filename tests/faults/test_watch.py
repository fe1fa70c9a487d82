"""The live page of a run whose study lies in a database: it sees the study grow, and says when the database is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import UserError
from nas.serve import Source
from tests.faults.driver import session

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_page_follows_a_study_in_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"budget": 4, "backend": "in_process", "algorithm": "random", "storage": f"sqlite:///{tmp_path}/nas.db"}
    options: dict[str, Any] = {"config": config, "stub": {"faults": {"raise": 0.2}}}
    session(tmp_path / "run", options).run()
    source = Source(str(tmp_path / "run"))
    tag, data = source.latest()
    assert source.latest() == (tag, data) and not data["going"]
    work = session(tmp_path / "run", {**options, "config": {**config, "budget": 9}})
    seen: list[tuple[str, int]] = []
    original = type(work.folder).check_space

    def look(folder: Any) -> None:
        original(folder)
        tag, data = source.latest()
        seen.append((tag, len(data["members"])))

    monkeypatch.setattr(type(work.folder), "check_space", look)
    work.run()
    assert len({tag for tag, _ in seen}) == len(seen) >= 5, "every new trial is seen"
    assert [count for _, count in seen] == sorted(count for _, count in seen) and seen[-1][1] == 8
    assert len(source.latest()[1]["members"]) == 9


def test_a_database_that_went_away_is_a_sentence(tmp_path: Path) -> None:
    config = {"budget": 2, "backend": "in_process", "algorithm": "random", "storage": f"sqlite:///{tmp_path}/nas.db"}
    session(tmp_path / "run", {"config": config, "stub": {}}).run()
    source = Source(str(tmp_path / "run"))
    source.latest()
    (tmp_path / "nas.db").write_bytes(b"Dear diary " * 1000)
    with pytest.raises(UserError, match="cannot be used"):
        source.latest()
