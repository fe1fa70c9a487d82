import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthetic import add_trial, synthetic, write_run

from nas.errors import UserError
from nas.serve import Source, make_server, watch

TOKEN = "a-token"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", synthetic(12, seed=3))
    return tmp_path / "run"


@pytest.fixture
def port(run: Path) -> Iterator[int]:
    server = make_server(Source(str(run)), token=TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_the_page_and_its_data_are_served_to_who_has_the_token(port: int) -> None:
    status, headers, body = ask(port, f"/{TOKEN}/")
    assert status == 200 and body.startswith(b"<!doctype html>") and b'data-live="true"' in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    status, _, body = ask(port, f"/{TOKEN}/data.json?again")
    assert status == 200 and json.loads(body)["title"] == "run"


@pytest.mark.parametrize(
    "path", ["/", "/a-toke/", "/a-token2/", "/b/data.json", "/%61-token/", "//", "/../a-token/", "*", "http://x/"]
)
def test_without_the_token_nothing_is_told(port: int, path: str) -> None:
    status, _, body = ask(port, path)
    assert status == 403 and b"members" not in body


@pytest.mark.parametrize("path", ["", "/x", "/data.json/x", "/../../etc/passwd", "/..%2f..%2fetc/passwd", "//"])
def test_only_known_paths_are_served(port: int, path: str) -> None:
    assert ask(port, f"/{TOKEN}{path}")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_only_get_is_answered(port: int, method: str) -> None:
    status, headers, _ = ask(port, f"/{TOKEN}/", method=method)
    assert status == 405 and headers["Allow"] == "GET"


def test_data_are_sent_again_only_after_a_change(port: int, run: Path) -> None:
    from nas.archive import Archive
    from search_spaces.mixed import mixed

    _, headers, first = ask(port, f"/{TOKEN}/data.json")
    tag = {"If-None-Match": headers["ETag"]}
    assert ask(port, f"/{TOKEN}/data.json", **tag)[0] == 304
    add_trial(Archive.open(run, space=mixed()), synthetic(14, seed=3).trials[-1])
    status, headers, second = ask(port, f"/{TOKEN}/data.json", **tag)
    assert status == 200 and headers["ETag"] != tag["If-None-Match"]
    counts = [json.loads(body)["counts"] for body in (first, second)]
    assert sum(counts[1].values()) == sum(counts[0].values()) + 1


def test_a_line_half_written_does_not_take_the_page_away(port: int, run: Path) -> None:
    _, _, before = ask(port, f"/{TOKEN}/data.json")
    with open(run / "study.journal", "a") as journal:
        journal.write('{"op_code": 6, "worker_')
    status, _, after = ask(port, f"/{TOKEN}/data.json")
    assert status == 200 and json.loads(after)["members"] == json.loads(before)["members"]


def test_the_page_says_when_the_search_has_ended(run: Path) -> None:
    source = Source(str(run))
    assert source.latest()[1]["going"] is True
    for text, going in [('{"event": "ended"}\n', False), ('{"event": "resumed"}\n', True), ("no json\n", True)]:
        with open(run / "events.jsonl", "a") as events:
            events.write(text)
        assert source.latest()[1]["going"] is going


def test_it_binds_to_this_machine_alone_unless_told(run: Path) -> None:
    server = make_server(Source(str(run)), token=TOKEN)
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


def test_a_port_that_cannot_be_had_is_the_users_mistake(run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="it is taken: choose another --port"):
            watch(str(run), port=taken.getsockname()[1])
    with pytest.raises(UserError, match="--port must be from 0 to 65535, got 70000"):
        watch(str(run), port=70000)
    with pytest.raises(UserError, match="give --host an address of this machine"):
        watch(str(run), host="192.0.2.1")


def test_who_leaves_in_the_middle_of_an_answer_disturbs_nobody(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET /{TOKEN}/ HTTP/1.0\r\n\r\n".encode())
            connection.recv(10)
    assert ask(port, f"/{TOKEN}/data.json")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_ctrl_c_stops_the_command_with_130(run: Path) -> None:
    command = [sys.executable, "-m", "nas.front", str(run), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/[\w-]{32}/)", url)
        assert found is not None, url or process.stderr.read()
        assert ask(int(found[1]), found[2])[0] == 200
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stdout.read().splitlines()[-1] == "stopped"
        assert process.stderr.read() == ""
