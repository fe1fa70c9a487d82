"""The command on a small table: numbers, files, faults; the scoring against definitions written out."""

import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from nas import bench
from nas.algorithms.catalogue import ALGORITHMS
from nas.benchmarks.baselines import BASELINES
from nas.benchmarks.replay import replay
from nas.benchmarks.summary import Summary, padded, summarise, text_table
from nas.benchmarks.tabular import Benchmark, objectives_of
from nas.pareto import hypervolume, non_dominated
from search_spaces.table import read_table


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four genes of three options; one network failed to train."""
    generator = np.random.default_rng(0)
    lines = ["x_0,x_1,x_2,x_3,accuracy,accuracy_0,accuracy_1,params,macs,latency_ms"]
    for genes in product(range(3), repeat=4):
        size = float(np.dot(genes, [1, 2, 1.5, 0.5]))
        seeds = 95 - 30 * np.exp(-size / 3) + generator.normal(0, 0.2, 2)
        mean = "" if genes == (0, 0, 0, 1) else seeds.mean()
        seeds = ["", ""] if mean == "" else seeds.tolist()
        cells = [*genes, mean, *seeds, 1000 + 100 * genes[0], 1e6 * (1 + size**2), 1 + size]
        lines.append(",".join(map(str, cells)))
    file = tmp_path_factory.mktemp("tables") / "small.csv"
    file.write_text("\n".join(lines))
    return file


def benchmark(file: Path, objectives: str = "accuracy:max,macs:min", **options: str) -> Benchmark:
    table = read_table(file)
    return Benchmark(table, objectives_of(objectives, table=table), **options)


def test_scoring_is_hypervolume_of_means_in_units_of_the_table(table_file: Path) -> None:
    scored = benchmark(table_file)
    rows = scored.points[np.isfinite(scored.points).all(axis=1)]
    scaled = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    assert scored.score.exact == pytest.approx(hypervolume(scaled, [1.01, 1.01]))
    everything = list(product(range(3), repeat=4))
    trace = scored.trace(everything)
    assert trace[-1] == pytest.approx(1.0) and (np.diff(trace) >= 0).all()
    few = [g for g in everything[:5] if g != (0, 0, 0, 1)]
    part = (scored.points[[scored.table.row(g) for g in few]] - rows.min(axis=0)) / np.ptp(rows, axis=0)
    assert trace[4] == pytest.approx(hypervolume(part, [1.01, 1.01]) / scored.score.exact)


def test_scale_of_the_front(table_file: Path) -> None:
    scored = benchmark(table_file, scale="front")
    rows = scored.points[np.isfinite(scored.points).all(axis=1)]
    front = rows[non_dominated(rows)]
    scaled = (front - front.min(axis=0)) / np.ptp(front, axis=0)
    assert scored.score.exact == pytest.approx(hypervolume(scaled, [1.1, 1.1]))


def test_a_search_sees_one_seed_and_exact_counts(table_file: Path) -> None:
    shown = benchmark(table_file)
    table = shown.table
    row = table.row((2, 1, 0, 2))
    seen = {shown.measure((2, 1, 0, 2), visit=visit, seed=0)["accuracy"] for visit in range(20)}
    assert seen == {table.metrics["accuracy_0"][row], table.metrics["accuracy_1"][row]}
    assert shown.measure((2, 1, 0, 2), visit=3, seed=5) == shown.measure((2, 1, 0, 2), visit=3, seed=5)
    assert shown.problem.count((2, 1, 0, 2)) == {"macs": table.metrics["macs"][row]}
    assert shown.measure((0, 0, 0, 1), visit=0, seed=0) is None


def test_kinds_of_objectives(table_file: Path) -> None:
    table = read_table(table_file)
    kinds = [o.kind for o in objectives_of("accuracy,macs,latency_ms", table=table)]
    assert kinds == ["trained", "counted", "timed"]
    assert [o.kind for o in objectives_of("accuracy:max,macs:min", table=table, timed=["macs"])] == ["trained", "timed"]
    assert objectives_of("params:max,macs:min", table=table)[0].goal == "max"


@pytest.mark.parametrize("name", sorted({*ALGORITHMS, *BASELINES} - {"gp", "optuna-gp"}))
def test_every_algorithm_and_baseline_replays(name: str, table_file: Path) -> None:
    played = benchmark(table_file)
    first, again = (replay(played, name, evaluations=30, seed=1) for _ in range(2))
    assert len(first.genotypes) == 30 and first.genotypes == again.genotypes
    assert first.seconds > 0
    assert name in BASELINES or first.repeated == 0
    assert played.trace(first.genotypes)[-1] > 0.5


@pytest.mark.parametrize("name", ["surrogate", "nsga2", "random"])
def test_more_evaluations_than_architectures(name: str, table_file: Path) -> None:
    played = benchmark(table_file)
    whole = replay(played, name, evaluations=100, seed=0)
    assert len(set(whole.genotypes)) == len(whole.genotypes) == 81
    summary = summarise(played, name, [whole], evaluations=100)
    assert summary.hypervolume_at(100) == pytest.approx(1.0)


def test_workers_are_kept_busy(table_file: Path) -> None:
    played = replay(benchmark(table_file), "surrogate", evaluations=24, seed=0, workers=8)
    assert len(set(played.genotypes)) == 24


def test_summary_counts_evaluations() -> None:
    traces = padded([np.array([0.9, 0.96, 0.985]), np.array([0.96, 0.99]), np.array([0.5, 0.6, 0.97])], evaluations=4)
    summary = Summary("a", traces, 0.25, 1.5)
    assert summary.evaluations_to(0.95) == 2 and summary.evaluations_to(0.98) == 3
    assert summary.evaluations_to(0.99) is None
    assert summary.evaluations_to(0.99, quantile=0.0) == 2
    assert summary.hypervolume_at(3) == pytest.approx(0.985) and summary.hypervolume_at(50) is None
    assert ">4" in text_table([summary], evaluations=4)


def test_command_writes_what_it_prints(table_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    arguments = ["--table", str(table_file), "--algorithms", "random,nsga2", "--evaluations", "60", "--seeds", "2"]
    assert bench.main([*arguments, "--json", str(out), "--png", str(picture)]) == 0
    rows = json.loads(out.read_text())
    assert [row["algorithm"] for row in rows] == ["random", "nsga2"]
    for row in rows:
        assert set(row) == {"algorithm", "evaluations_to", "hypervolume_at", "repeated", "ms_per_proposal"}
        assert set(row["evaluations_to"]) == {"0.95", "0.98", "0.99"}
        assert set(row["hypervolume_at"]) == {"50", "100", "200"}
        assert row["hypervolume_at"]["200"] is None and row["repeated"] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "nsga2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--algorithms", "surogate"], "did you mean surrogate"),
        (["--algorithms", ","], "needs one or more"),
        (["--objectives", "accuracy:max,flops:min"], "no metric 'flops'"),
        (["--objectives", "accuracy:up,macs:min"], "a goal is min or max, got 'up'"),
        (["--objectives", "accuracy,accuracy"], "named once"),
        (["--trained", "params"], "is no objective"),
        (["--table", "none.csv"], "readable CSV"),
        (["--json", "/none/out.json"], "must exist"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    change: list[str], message: str, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--table", str(table_file), "--algorithms", "random", *change]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "Traceback" not in error


def test_help_is_quick_and_ends_with_examples() -> None:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "nas.bench", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 2  # 0.5 s on a quiet machine
    assert "examples:" in done.stdout and done.stdout.rstrip().splitlines()[-1].startswith("  python -m nas.bench")
    code = "import sys, nas.bench; print(sorted({'numpy', 'torch', 'pymoo', 'optuna'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("text", ["0", "-3", "ten"])
def test_numbers_are_checked(text: str, table_file: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        bench.main(["--table", str(table_file), "--seeds", text])
    assert stop.value.code == 2
