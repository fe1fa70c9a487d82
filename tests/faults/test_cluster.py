"""Studies in PostgreSQL, and searches on a Ray cluster of several nodes that come and go."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nas import search
from nas.archive import Archive
from nas.errors import UserError
from tests.faults.conftest import PASSWORD
from tests.faults.harness import Search, kill_often
from tests.faults.test_kills import show

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = {"algorithm": "random"}


def test_kills_with_the_study_in_postgresql(
    tmp_path: Path, postgres: str, password: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**PLAIN, "budget": 20, "backend": "in_process"}
    stub = {"seconds": 0.005, "weights": True, "faults": {"raise": 0.1}}
    whole, broken = (
        Search(tmp_path / "whole", config, stub),
        Search(tmp_path / "broken", {**config, "storage": postgres}, stub),
    )
    whole.finish()
    show(kill_often(broken, kills=2, seed=0, spread=1.0, most=8), capsys)
    assert broken.trials() == whole.trials()
    for file in (tmp_path / "broken").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes() + file.read_bytes().replace(
            b"%40", b"@"
        )


def test_the_command_line_with_postgresql(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, run = tmp_path / "t.csv", str(tmp_path / "run")
    table.write_text("x_0,accuracy,macs\n" + "".join(f"{i},{0.1 + i / 100},{i + 1}\n" for i in range(60)))
    begin = ["--space", f"table:{table}", "--budget", "5", "--backend", "in_process", "--algorithm", "random"]
    command = [sys.executable, "-m", "nas.search", *begin, "--storage", postgres, "--out", run]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert told["storage"]["url"].startswith("postgresql+psycopg://nas@127.0.0.1") and "s3cret" not in json.dumps(told)
    assert "s3cret" not in (tmp_path / "run" / "config.toml").read_text() + done.stdout + done.stderr
    with pytest.raises(UserError, match="cannot be used") as caught:
        Archive.open(run)
    assert "PGPASSWORD" in str(caught.value)
    assert search.main(["--resume", run, "--budget", "7", "--storage", postgres]) == 0
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert search.main(["--resume", run, "--budget", "9"]) == 0
    assert Archive.open(run).count("finished") == 9
    capsys.readouterr()
    assert search.main(["--resume", run, "--storage", re.sub(r":\d+/", ":1/", postgres)]) == 2
    assert "cannot be used" in capsys.readouterr().err


class Cable:
    """Carries connections to a server, until it is cut."""

    def __init__(self, port: int) -> None:
        self._server, self._to = socket.create_server(("127.0.0.1", 0)), port
        self._ends: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                sink.sendall(content)

    def cut(self) -> None:
        """Ends every connection, and refuses new ones."""
        for end in (self._server, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_database_that_goes_away_during_a_search(tmp_path: Path, postgres: str, password: None) -> None:
    """The search ends with a sentence; once the database answers again it goes on, and nothing finished is evaluated again."""
    port = int(re.search(r":(\d+)/", postgres).group(1))  # type: ignore[union-attr]
    cable = Cable(port)
    config = {
        **PLAIN,
        "budget": 30,
        "backend": "in_process",
        "storage": postgres.replace(f":{port}/", f":{cable.port}/"),
    }
    cut = Search(tmp_path / "run", config, {"seconds": 0.05})
    process = cut.begin()
    while len(cut.lines()) < 10:
        assert process.poll() is None
        time.sleep(0.01)
    cable.cut()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and "Traceback" not in output, output
    assert "cannot be used" in output.splitlines()[-1] and "--resume" in output and PASSWORD not in output, output
    done = len(cut.lines())
    cut.config["storage"] = postgres
    cut.finish()
    trials = Archive.open(cut.run, url=postgres).trials
    assert [trial.state for trial in trials] == ["finished"] * 30
    again = {line.split()[0] for line in cut.lines()[:done]} & {line.split()[0] for line in cut.lines()[done:]}
    assert len(again) <= 1, "at most what was under way"


@pytest.mark.slow
def test_two_nodes_and_postgresql_with_a_killed_driver(
    tmp_path: Path, postgres: str, password: None, cluster: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers follow the nodes: one, then two, then one again, then two; the driver is killed twice."""
    cluster.add_node(num_cpus=1)
    config = {**PLAIN, "budget": 80, "backend": "ray", "address": cluster.address, "storage": postgres}
    stub = {"seconds": 0.05, "weights": True, "worker": True, "faults": {"raise": 0.05}}
    broken = Search(tmp_path / "run", config, stub, workers=0)
    show(kill_often(broken, kills=2, seed=1, spread=8.0, most=20), capsys)
    assert len({trial.details.get("worker") for trial in broken.trials()} - {None}) >= 3


@pytest.mark.slow
def test_nodes_join_and_leave_during_a_search(tmp_path: Path, cluster: Any) -> None:
    config = {**PLAIN, "budget": 150, "backend": "ray", "address": cluster.address}
    joining = Search(tmp_path / "run", config, {"seconds": 0.2, "worker": True}, workers=0)
    process = joining.begin()

    def workers(after: int) -> set[int]:
        return {t.details["worker"] for t in joining.trials()[after:] if t.state == "finished"}

    def until(n: int) -> int:
        end = time.monotonic() + 90
        while len(joining.trials()) < n:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.2)
        return len(joining.trials())

    first = until(8)
    assert len(workers(0)) == 1
    node = cluster.add_node(num_cpus=2)
    second = until(first + 60)
    assert len(workers(first)) == 3
    cluster.remove_node(node, allow_graceful=False)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    trials = joining.trials()
    assert sum(trial.state == "finished" for trial in trials) == 150
    assert len({t.details["worker"] for t in trials[second + 10 :]}) == 1
    assert not [t for t in trials if t.failure], "who was on the node that left was evaluated elsewhere"


@pytest.mark.slow
def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    config = {**PLAIN, "budget": 5, "backend": "ray", "address": "127.0.0.1:1"}
    process = Search(tmp_path / "run", config, {}, workers=0).begin()
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 2 and "--address must name a running Ray cluster" in output
