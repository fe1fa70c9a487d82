"""Disks fill, folders vanish, files are locked, cut and foreign: one clear sentence, and nothing is made worse."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas import run as run_module
from nas import search, storage
from nas.archive import Archive
from nas.errors import UserError, run_command
from nas.health import examine
from nas.options import read_toml
from nas.run import RunFolder
from search_spaces.table import read_table
from tests.faults.driver import session

NOBODY = 65534
OPTIONS: dict[str, Any] = {"config": {"budget": 12, "backend": "in_process", "algorithm": "random"}, "stub": {}}


def options(budget: int = 12, **stub: Any) -> dict[str, Any]:
    return {"config": {**OPTIONS["config"], "budget": budget}, "stub": stub}


def content(run: Path) -> dict[str, bytes]:
    return {str(file.relative_to(run)): file.read_bytes() for file in run.rglob("*") if file.is_file()}


def command(run: Path, given: dict[str, Any]) -> int:
    def work(_: list[str]) -> int:
        session(run, given).run()
        return 0

    return run_command("nas search", work, [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_loses_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_disk / "run"
    monkeypatch.setattr(run_module, "FREE_BYTES", 0)
    assert command(run, options(budget=500)) == 1
    error = capsys.readouterr().err
    assert "No space left" in error and "--resume" in error and "Traceback" not in error
    before = Archive.open(run).trials
    assert run_module.torn_tail(run / "study.journal")[1] == b""
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert command(run, options(budget=len(before) + 5)) == 0
    after = Archive.open(run).trials
    assert [t for t in after[: len(before)] if t.state == "finished"][: len(before) - 1] == [
        t for t in before if t.state == "finished"
    ][: len(before) - 1]
    assert sum(trial.state == "finished" for trial in after) == len(before) + 5


def test_a_nearly_full_disk_ends_the_search_before_it_costs_a_trial(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(small_disk / "run", options()) == 1
    assert "No space left" in capsys.readouterr().err
    assert not Archive.open(small_disk / "run").trials


def test_a_worker_that_finds_the_disk_full_costs_its_candidate_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = iter([None, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights")])

    def check(self: RunFolder) -> None:
        answer = next(checks)
        if answer is not None:
            raise answer

    monkeypatch.setattr(RunFolder, "check_space", check)
    assert command(tmp_path / "run", options(faults={"full": 1.0})) == 1
    assert "No space left" in capsys.readouterr().err
    assert [trial.state for trial in Archive.open(tmp_path / "run").trials] == ["running"]


def test_a_write_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = session(tmp_path / "run", options())
    work.run()
    before = (tmp_path / "run" / "study.journal").read_bytes()

    def write(descriptor: int, record: bytes) -> None:
        os.write(descriptor, record[: len(record) // 2])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(storage, "_write", write)
    with pytest.raises(OSError, match="Input/output"):
        work.archive.fail(0, kind="error", message="")
    assert (tmp_path / "run" / "study.journal").read_bytes() == before


def test_a_file_may_not_grow(tmp_path: Path) -> None:
    """A limit on the size of files, as a quota sets it, in a process of its own."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "from pathlib import Path\n"
        "from tests.faults.test_disk import command, options\n"
        f"sys.exit(command(Path({str(tmp_path / 'run')!r}), options(budget=500)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "File too large" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert run_module.torn_tail(tmp_path / "run" / "study.journal")[1] == b""
    finished = Archive.open(tmp_path / "run").count("finished")
    assert finished > 0
    assert command(tmp_path / "run", options(budget=finished + 3)) == 0


@pytest.mark.parametrize("what", ["run", "study.journal"])
def test_a_run_that_is_removed_under_the_search(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    work = session(run, options(budget=200))
    original = Archive.finish

    def finish(self: Archive, number: int) -> Any:
        trial = original(self, number)
        if number == 5:
            shutil.rmtree(run) if what == "run" else (run / what).unlink()
        return trial

    monkeypatch.setattr(Archive, "finish", finish)
    assert run_command("nas search", lambda _: len(work.run()), []) == 2
    error = capsys.readouterr().err
    assert "was removed while the search ran" in error and len(error.splitlines()) == 1
    assert not run.exists() if what == "run" else not (run / what).exists()


def test_a_study_that_is_cut_under_the_search(tmp_path: Path) -> None:
    work = session(tmp_path / "run", options())
    work.run()
    os.truncate(tmp_path / "run" / "study.journal", 100)
    with pytest.raises(UserError, match="was cut under the search"):
        work.archive.fail(0, kind="error", message="")


def test_a_locked_study_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = session(tmp_path / "run", options())
    work.run()
    with open(tmp_path / "run" / "study.journal", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr(storage, "LOCK_SECONDS", 0.1)
        with pytest.raises(UserError, match="has been locked by another process"):
            work.archive.fail(0, kind="error", message="")
        Archive.open(tmp_path / "run")  # who reads needs no lock
        monkeypatch.setattr(storage, "LOCK_SECONDS", 10.0)
        threading.Timer(0.3, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        start = time.monotonic()
        with pytest.raises(Exception, match="finished"):  # a finished trial cannot fail, but the write got through
            work.archive.fail(0, kind="error", message="")
        assert time.monotonic() - start < 5


def test_two_drivers_on_one_run(tmp_path: Path) -> None:
    session(tmp_path / "run", options()).run()
    with RunFolder.open(tmp_path / "run").locked():
        before = content(tmp_path / "run")
        for given in (options(), options(budget=30)):
            with pytest.raises(UserError, match=f"is being driven by process {os.getpid()}"):
                session(tmp_path / "run", given).run()
        assert content(tmp_path / "run") == before


def test_two_drivers_that_make_the_same_run(tmp_path: Path) -> None:
    first, second = session(tmp_path / "run", options()), session(tmp_path / "run", options())
    first.run()
    before = content(tmp_path / "run")
    with pytest.raises(UserError, match="exists"):
        second.run()
    before.pop("lock")
    after = content(tmp_path / "run")
    after.pop("lock")
    assert after == before


@contextmanager
def as_nobody(*paths: Path) -> Iterator[None]:
    """Root may write everywhere, so in the block it is somebody else, to whom the paths belong."""
    if os.geteuid():
        yield
        return
    for path in paths:
        os.chown(path, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can get at; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="nas-faults-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        yield Path(folder)


def test_a_run_that_became_read_only(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = open_folder / "run"
    session(run, options()).run()
    before = content(run)
    for path in (run, run / "weights"):
        path.chmod(0o500)
    (run / "lock").chmod(0o400)
    with as_nobody(run, *run.rglob("*")):
        assert command(run, options(budget=20)) == 2
        error = capsys.readouterr().err
        assert "Permission denied" in error and "change its permissions" in error and len(error.splitlines()) == 1
        faults = [check for check in examine(RunFolder(run)) if check.fault]
        assert [check.what for check in faults] == ["folder"] and "chmod u+w" in faults[0].repair
        assert Archive.open(run).count("finished") == 12  # it can be read
    assert content(run) == before


def test_a_study_that_became_read_only(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when somebody else began the run: the folder can be written to, its study cannot."""
    run = open_folder / "run"
    session(run, options()).run()
    before = (run / "study.journal").read_bytes()
    (run / "study.journal").chmod(0o400)
    with as_nobody(run, *run.rglob("*")):
        assert command(run, options(budget=20)) == 2
    error = capsys.readouterr().err
    assert "Permission denied" in error and "study.journal" in error and len(error.splitlines()) == 1
    assert (run / "study.journal").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["study.journal", "config.toml", "environment.json", "events.jsonl", "lock", "weights"]
)
@pytest.mark.parametrize("what", ["folder", "device"])
def test_a_run_whose_files_are_none(tmp_path: Path, name: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody put a folder, or a device that never ends, in a file's place: the doctor names it, nobody reads it."""
    run = tmp_path / "run"
    session(run, options()).run()
    place = run / name
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    if what == "device":
        place.symlink_to("/dev/zero")
    elif name == "weights":
        place.write_text("")
    else:
        place.mkdir()
    faults = [check for check in examine(RunFolder(run)) if check.fault]
    assert [check.what for check in faults] == [name] and "should be a " in faults[0].found
    assert search.main(["--resume", str(run)]) == 2
    error = capsys.readouterr().err
    assert name in error and len(error.splitlines()) == 1


def test_options_and_tables_from_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/zero", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="is no file of options"):
            read_toml(place)
        with pytest.raises(ValueError, match="a folder or a device"):
            read_table(place)


FOREIGN = {
    "text": b"Dear diary",
    "lines": b"Dear diary,\ntoday\n",
    "json": b'{"a": 1}\n',
    "zeros": b"\0" * 4096,
    "binary": bytes(range(256)) * 10,
    "list": b"[1, 2]\n" * 3,
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_study_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    session(run, options()).run()
    (run / "study.journal").write_bytes(FOREIGN[name])
    with pytest.raises(UserError, match=r"nas\.doctor"):
        session(run, options(budget=20)).run()
    left = (run / "study.journal").read_bytes()
    assert left == FOREIGN[name] or name == "zeros"  # a tail of zeros is what a power cut leaves


def test_a_study_that_is_torn_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    """Cut at any byte, what remains is a shorter run, which is finished to the same end."""
    session(tmp_path / "whole", options()).run()
    whole = (tmp_path / "whole" / "study.journal").read_bytes()
    expected = list(Archive.open(tmp_path / "whole").trials)
    first = whole.index(b'"op_code":4')  # up to here the study itself is made, before the run counts as made
    for cut in range(first + 1, len(whole), max(1, (len(whole) - first) // 12)):
        run = tmp_path / f"cut-{cut}"
        session(run, options()).run()
        os.truncate(run / "study.journal", cut)
        assert session(run, options()).run() == "budget"
        assert list(Archive.open(run).trials) == expected


@pytest.mark.parametrize("last", ["", "config.toml", "study.journal", "environment.json"])
def test_a_run_that_was_cut_short_while_it_was_made(tmp_path: Path, last: str) -> None:
    """Whatever was written last: it is either a run, or the same command makes it one; --resume says so."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "lock").write_text("process 1 on there\n")
    (run / "weights").mkdir()
    (run / "config.toml.77.part").write_text("budg")
    if last:
        (run / "config.toml").write_text("budget = 12\n")
    if last in {"study.journal", "environment.json"}:
        (run / "study.journal").write_text('{"op_code":0,"worker_')
    if last == "environment.json":
        (run / "environment.json.77.part").write_text('{"form')
    if last:
        with pytest.raises(UserError, match="was cut short while it was made.*--out"):
            RunFolder.open(run)
    assert session(run, options()).run() == "budget"
    assert Archive.open(run).count("finished") == 12
