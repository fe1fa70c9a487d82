"""Readers of what others wrote, fed with junk and with mutations of the real thing: a sentence at worst, never a traceback or a hang."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.archive import Archive
from nas.config import SearchConfig, parse_limit
from nas.errors import UserError
from nas.front import as_json
from nas.health import examine
from nas.options import read_toml, resolve
from nas.report.table import describe, front_table
from nas.run import RunFolder
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.table import read_table
from tests.faults.driver import session

QUICK, MANY = 40, 19_000  # five properties, and a part of it for the two that read whole runs: above 10^5
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 3), st.floats(), st.text(max_size=8), st.just(10**400)
)
JUNK = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
ARCHITECTURE = Architecture(
    3,
    32,
    10,
    Stem(8),
    (
        Stage.of("pix", depth=2, width=16, stride=1, kernel=3, zeta=4, tau=0.5),
        Stage.of(
            "mux", depth=3, width=32, stride=2, kernels=(3,), scales=(-1, 0), ratio=0.5, expansion=2.0, squeeze=0.25
        ),
    ),
    head=64,
).to_json()


def tiers(function: Callable[..., None]) -> Any:
    """The same property over a few inputs in the fast tier and many in the slow one."""
    return pytest.mark.parametrize("most", [QUICK, pytest.param(MANY, marks=pytest.mark.slow)], ids=["quick", "many"])(
        function
    )


def hammer(most: int, strategy: st.SearchStrategy[Any], reads: Callable[[Any], object]) -> None:
    """Reads every example, quickly and within bounded memory; only the two kinds of error that name a user's mistake may come out."""

    @settings(max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def examples(example: Any) -> None:
        start = time.process_time()
        try:
            reads(example)
        except (UserError, ValueError) as error:
            assert str(error) and len(str(error)) < 3000
        assert time.process_time() - start < 5

    examples()


def mutated(value: Any) -> st.SearchStrategy[Any]:
    """The value with one place in it replaced by junk, left out, or joined by an unknown one."""
    places: list[tuple[Any, ...]] = []

    def walk(part: Any, path: tuple[Any, ...]) -> None:
        places.append(path)
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
            walk(inner, (*path, key))

    walk(value, ())

    def change(path: tuple[Any, ...], junk: Any, how: str) -> Any:
        copy = json.loads(json.dumps(value))
        if not path:
            return junk
        place = copy
        for key in path[:-1]:
            place = place[key]
        if how == "drop":
            del place[path[-1]]
        elif how == "add" and isinstance(place, dict):
            place[str(junk)] = junk
        else:
            place[path[-1]] = junk
        return copy

    return st.builds(change, st.sampled_from(places), JUNK, st.sampled_from(["put", "put", "drop", "add"]))


def spliced(text: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a piece cut out and another put in."""
    ends = st.integers(0, len(text))
    odd = st.sampled_from([b"\0", b"\xff\xfe", b"[" * 5000, b"9" * 5000, b"\n\n", b'"', b"1e999", b"-", b"\xc3\x28"])
    return st.builds(
        lambda start, length, put: text[:start] + put + text[start + length :],
        ends,
        st.sampled_from([0, 0, 1, 7, 100]),
        st.binary(max_size=12) | odd,
    )


@tiers
def test_architectures(most: int) -> None:
    def read(data: Any) -> None:
        architecture = Architecture.from_json(data)
        assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture
        assert len(architecture.key) == 16 and str(architecture)

    hammer(most, JUNK | mutated(ARCHITECTURE), read)


@tiers
def test_options(most: int) -> None:
    names = st.sampled_from([*SearchConfig.__dataclass_fields__, "budgit", ""])
    hammer(most, st.dictionaries(names, JUNK, max_size=4), lambda base: resolve(SearchConfig, {}, base=base))


@tiers
def test_toml(most: int, tmp_path: Path) -> None:
    text = b'budget = 3\nspace = "pix"\nlimit = ["macs<=20M"]\ntrial_timeout = 1.5\ndownload = false\n'

    def read(content: bytes) -> None:
        (tmp_path / "c.toml").write_bytes(content)
        resolve(SearchConfig, {}, config=str(tmp_path / "c.toml"))

    hammer(most, st.binary(max_size=60) | spliced(text), read)


@tiers
def test_limits(most: int) -> None:
    hammer(most, st.text(max_size=30) | spliced(b"macs<=20.5M").map(lambda b: b.decode("latin1")), parse_limit)


@tiers
def test_tables(most: int, tmp_path: Path) -> None:
    text = b"x_0,x_1,accuracy,macs\n" + b"".join(b"%d,%d,0.5,%d\n" % (i, j, i + j) for i in (0, 1) for j in (0, 1, 2))

    def read(content: bytes) -> None:
        (tmp_path / "t.csv").write_bytes(content)
        table = read_table(tmp_path / "t.csv")
        assert table.space().size == len(next(iter(table.metrics.values()), [0] * table.space().size))

    hammer(most, st.binary(max_size=80) | spliced(text), read)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    options = {
        "config": {"budget": 3, "backend": "in_process", "algorithm": "random"},
        "stub": {"faults": {"raise": 0.3}, "weights": True},
    }
    session(run, options).run()
    return run


def look(run: Path) -> None:
    """All that reads a run: the doctor first, which must never raise, then the front."""
    assert examine(RunFolder(run))
    archive = Archive.open(run)
    for trial in archive.trials:
        inside = RunFolder(run).weights_of(trial.key, trial.replicate).resolve()
        assert inside.parent == (run / "weights").resolve(), "a path from a file stays inside its folder"
    json.dumps(as_json(archive, run=str(run)))
    assert front_table(archive.front(), archive.objectives, knee=None).row_count == len(archive.front())


@pytest.mark.parametrize("architecture", [{"stages": [[[]]] * 1000}, {"genes": [1]}, {"genes": {"a": [[]] * 9}}, {}])
def test_what_is_no_architecture_is_named_so(architecture: dict[str, Any]) -> None:
    assert describe(architecture) == "no architecture"


@tiers
def test_journals(most: int, whole: Path) -> None:
    journal = whole / "study.journal"
    original = journal.read_bytes()
    records = [json.loads(line) for line in original.splitlines()]

    def read(content: bytes) -> None:
        journal.write_bytes(content)
        look(whole)

    changed = st.integers(0, len(records) - 1).flatmap(
        lambda i: mutated(records[i]).map(
            lambda record: b"".join(
                json.dumps(record if j == i else r, allow_nan=True).encode() + b"\n" for j, r in enumerate(records)
            )
        )
    )
    try:
        hammer(most // 4, spliced(original) | changed, read)
    finally:
        journal.write_bytes(original)


@tiers
def test_environments(most: int, whole: Path) -> None:
    original = (whole / "environment.json").read_bytes()
    about = {**json.loads(original), "storage": {"url": "", "study": "nas"}}

    def read(content: bytes) -> None:
        (whole / "environment.json").write_bytes(content)
        look(whole)

    changed = mutated(about).map(lambda data: json.dumps(data).encode())
    # A URL of a database is the run's to name, and whoever opens it connects there; only its form is looked at here.
    local = (spliced(original) | changed).filter(lambda content: b"://" not in content)
    try:
        hammer(most // 10, local, read)
    finally:
        (whole / "environment.json").write_bytes(original)


HOSTILE: dict[str, bytes] = {
    "deep": b"[" * 1_000_000,
    "deep object": b'{"a":' * 200_000,
    "a long number": b"9" * 1_000_000,
    "a long line": b'{"op_code": "' + b"x" * 3_000_000,
    "zeros": b"\0" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sizes_take_no_more_than_ten_times_their_size(whole: Path, tmp_path: Path, name: str) -> None:
    content = HOSTILE[name]
    file = tmp_path / "file"
    file.write_bytes(content)
    journal = (whole / "study.journal").read_bytes()
    (whole / "study.journal").write_bytes(journal + content + b"\n{}\n")
    tracemalloc.start()
    start = time.process_time()
    try:
        for read in (
            lambda: read_toml(file),
            lambda: read_table(file),
            lambda: look(whole),
        ):
            with pytest.raises((UserError, ValueError)):
                read()
        assert tracemalloc.get_traced_memory()[1] < 10 * len(content) + (32 << 20)
        assert time.process_time() - start < 30
    finally:
        tracemalloc.stop()
        (whole / "study.journal").write_bytes(journal)
