"""A PostgreSQL server and a Ray cluster of several nodes, both on this machine and for these tests alone."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3cret@word"  # noqa: S105


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _user() -> str | None:
    """Whom the server runs as: it refuses root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a database, with its password in it; gone when the tests are."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'nas[postgres]'")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    options: dict[str, Any] = {"user": user, "cwd": folder, "env": environment, "stdout": subprocess.DEVNULL}
    if user is not None:
        shutil.chown(secret, user)
    data = folder / "data"
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), "-U", "nas", "-A", "scram-sha-256", f"--pwfile={secret}", "-N"],
        check=True,
        stderr=subprocess.DEVNULL,
        **options,
    )
    command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    server = subprocess.Popen([*command, "-F"], stderr=subprocess.DEVNULL, **options)
    url = f"postgresql+psycopg://nas:{PASSWORD.replace('@', '%40')}@127.0.0.1:{port}/postgres"
    _await(url)
    yield url
    server.terminate()
    server.wait(30)
    shutil.rmtree(folder)


def _await(url: str) -> None:
    import psycopg

    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url.replace("+psycopg", "")).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password where every PostgreSQL client looks for it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster of one node with one core, to which nodes can be added."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()
