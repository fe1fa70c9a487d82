"""The run folder: its version, its lock, its torn lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.errors import UserError
from nas.run import FORMAT, Place, RunFolder, repair_tail, torn_tail
from nas.storage import public


def folder(path: Path, **about: object) -> Path:
    (path / "environment.json").write_text(json.dumps({"format": FORMAT, **about}))
    (path / "study.journal").write_text("")
    return path


def test_this_format_is_read(tmp_path: Path) -> None:
    assert RunFolder.open(folder(tmp_path)).place() == Place()


@pytest.mark.parametrize("version", [None, 0, -1, 2, "1", 1.5, [1], {}])
def test_another_format_is_refused_with_a_sentence(tmp_path: Path, version: object) -> None:
    older = type(version) is int and version < FORMAT
    with pytest.raises(UserError, match="use the version that made it" if older else "use a newer version"):
        RunFolder.open(folder(tmp_path, format=version))


@pytest.mark.parametrize("told", ["x", [], {"url": 3}, {"study": None}])
def test_a_place_that_no_search_wrote(tmp_path: Path, told: object) -> None:
    with pytest.raises(UserError, match="must hold a URL and a name"):
        RunFolder.open(folder(tmp_path, storage=told))


@pytest.mark.parametrize("tail", [b"", b"{", b'{"op_code":4,"wor', b"\0" * 70_000, b'{"op_code":' + b"x" * 200_000])
def test_a_torn_line_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    file = tmp_path / "file"
    for whole in (b"", b'{"op_code":0}\n', b'{"op_code":0}\n' * 10_000):
        file.write_bytes(whole + tail)
        assert torn_tail(file)[0] == len(whole)
        assert repair_tail(file) == len(tail)
        assert file.read_bytes() == whole
        assert repair_tail(file) == 0


@pytest.mark.parametrize("tail", [b"Dear diary", b"[1", b"\0\0a", b'{"op": 4'])
def test_what_is_not_ours_is_not_cut(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "file").write_bytes(b"line\n" + tail)
    with pytest.raises(UserError, match="no search wrote"):
        repair_tail(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"line\n" + tail


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:secret@host:5432/nas", "postgresql+psycopg://me@host:5432/nas"),
        ("postgresql+psycopg://me:p@ss:word@host/nas", "postgresql+psycopg://me@host/nas"),
        ("postgresql+psycopg://host/nas", "postgresql+psycopg://host/nas"),
        ("postgresql+psycopg:///nas?host=/tmp", "postgresql+psycopg:///nas?host=/tmp"),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("", ""),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert public(url) == shown


def test_who_drives_is_told(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.is_driven() == ""
    with run.locked():
        assert "process" in run.is_driven()
        with pytest.raises(UserError, match="wait for it, or stop it"), run.locked():
            pass
    assert run.is_driven() == ""
