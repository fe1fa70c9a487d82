"""Full training: its options and labels, a job that goes on exactly where it was, results; the command on Ray Tune is slow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from evaluators.training.recipe import FULL
from nas import search, train
from nas.errors import UserError
from nas.training import options
from nas.training.job import Job, load_once, run, whole
from nas.training.results import folder_of, read_results, spread, write_result
from search_spaces.architecture import Architecture, Stage, Stem

TINY = Architecture(
    1,
    12,
    10,
    Stem(4),
    (
        Stage.of("shuffle", depth=1, width=8, stride=2, kernel=3, groups=2, shuffle="dynamic"),
        Stage.of("pix", depth=1, width=8, stride=2, kernel=3, zeta=4, tau=0.5),
    ),
)
DATA = {"name": "digits", "data_dir": None, "skip_broken": False, "checksum": "05059cf83d6aa19e"}


def make_job(folder: Path, **changes: Any) -> Job:
    settings: dict[str, Any] = {
        "name": "seed-0",
        "key": TINY.key,
        "architecture": TINY.to_json(),
        "recipe": {**FULL.to_json(), "epochs": 3},
        "seed": 5,
        "replicate": 0,
        "final": True,
        "data": DATA,
        "folder": str(folder),
    }
    folder.mkdir(exist_ok=True)
    return Job(**{**settings, **changes})


def follow(job: Job, **start: Any) -> tuple[list[dict[str, Any]], list[dict[str, torch.Tensor]]]:
    told: list[dict[str, Any]] = []
    states: list[dict[str, torch.Tensor]] = []

    def tell(metrics: dict[str, Any], state: Any) -> None:
        told.append(metrics)
        if state is not None:
            states.append(state())

    run(job, tell, **{"history": [], "start": None, **start})
    return told, states


def test_a_job_goes_on_exactly_where_it_was(tmp_path: Path) -> None:
    told, states = follow(make_job(tmp_path / "a"))
    assert [metrics["epoch"] for metrics in told] == [1, 2, 3, 3] and len(states) == 2
    assert 0 < told[-1]["test_accuracy"] <= 1 and not any("accuracy" in metrics for metrics in told)
    again, _ = follow(make_job(tmp_path / "b"), history=told[:1], start=states[0])
    assert [m.get("loss") for m in again] == [m.get("loss") for m in told]
    one, two = (load_file(tmp_path / name / "seed-0.safetensors") for name in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert json.loads((tmp_path / "b" / "seed-0.json").read_text())["resumed_after"] == 1
    assert list((tmp_path / "b" / "tensorboard" / "seed-0").iterdir())
    # what has ended is told again and not trained again
    weights = (tmp_path / "b" / "seed-0.safetensors").stat().st_mtime_ns
    third, _ = follow(make_job(tmp_path / "b"))
    assert third[-1]["test_accuracy"] == again[-1]["test_accuracy"]
    assert (tmp_path / "b" / "seed-0.safetensors").stat().st_mtime_ns == weights


def test_a_sample_is_judged_on_the_validation_part_and_a_teacher_changes_the_loss(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from search_spaces.network import build

    plain, _ = follow(make_job(tmp_path / "plain", name="sample-0", final=False))
    assert all(0 <= metrics["accuracy"] <= 1 for metrics in plain)
    assert not any("test_accuracy" in metrics for metrics in plain)
    assert not (tmp_path / "plain" / "sample-0.safetensors").exists()
    large = Architecture(1, 16, 10, Stem(8), TINY.stages)
    save_file(build(large).state_dict(), tmp_path / "teacher.safetensors")
    taught, _ = follow(
        make_job(
            tmp_path / "taught",
            name="sample-0",
            final=False,
            teacher=large.to_json(),
            teacher_weights=str(tmp_path / "teacher.safetensors"),
        )
    )
    assert plain[0]["loss"] != taught[0]["loss"]


def test_a_diverged_job_is_told_and_not_raised(tmp_path: Path) -> None:
    recipe = {**FULL.to_json(), "epochs": 2, "learning_rate": 1e8, "clip": 0.0}
    told, _ = follow(make_job(tmp_path / "d", recipe=recipe))
    assert told[-1]["failure"] == "diverged" and "test_accuracy" not in told[-1]
    assert write_result(tmp_path / "d", {"key": TINY.key, "label": "x"}) is None


def test_final_training_sees_all_but_the_test_part() -> None:
    data = load_once(json.dumps(DATA, sort_keys=True), "cpu")
    joined = whole(data)
    assert len(joined.train) == len(data.train) + len(data.validation)
    assert joined.validation is data.test and torch.equal(joined.mean, data.mean)
    assert torch.equal(joined.at(12).train.images, torch.cat([data.at(12).train.images, data.at(12).validation.images]))


def test_options_recipe_and_label(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text("epochs = 30\nseeds = 3\n[override]\nmixup = 0.2\n")
    config, recipe = options.read_options({"seeds": "2"}, str(file))
    assert (config.seeds, recipe.epochs, recipe.mixup) == (2, 30, 0.2)
    label = options.label_of(config, recipe)
    assert label.startswith("full-30ep-") and len(label) == len("full-30ep-") + 6
    config, recipe = options.read_options({"distil": True, "from_weights": True, "samples": "4"}, None)
    assert options.label_of(config, recipe) == "full-100ep-from-weights-distilled-best-of-4"
    assert recipe.learning_rate == pytest.approx(FULL.learning_rate / 10)
    file.write_text("[override]\nmixupp = 0.2\n")
    with pytest.raises(UserError, match="a recipe has no 'mixupp'"):
        options.read_options({}, str(file))
    with pytest.raises(UserError, match="must be at least 1"):
        options.read_options({"seeds": "0"}, None)


def test_samples_begin_with_the_recipe_and_repeat_with_the_seed() -> None:
    samples = options.sample_recipes(FULL, 6, seed=3)
    assert samples[0] == FULL and len({sample.learning_rate for sample in samples}) == 6
    assert samples == options.sample_recipes(FULL, 6, seed=3) != options.sample_recipes(FULL, 6, seed=4)


def test_results_are_mean_and_spread_over_seeds(tmp_path: Path) -> None:
    from nas.run import RunFolder

    place = folder_of(RunFolder(tmp_path), key="k", label="full-1ep")
    place.mkdir(parents=True)
    for seed, accuracy in enumerate([0.9, 0.92, 0.94]):
        end = {"seed": seed, "torch_seed": seed, "test_accuracy": accuracy, "history": [1]}
        (place / f"seed-{seed}.json").write_text(json.dumps(end))
    result = write_result(place, {"key": "k", "label": "full-1ep", "finished": "2026"})
    assert result is not None and str(result) == "92.00 ± 2.00 % (3 seeds)"
    (place.parent / "broken").mkdir()
    (place.parent / "broken" / "result.json").write_text("{")
    assert [r.about["test_accuracy"]["std"] for r in read_results(RunFolder(tmp_path))] == [pytest.approx(0.02)]
    assert result.weights.name == "seed-0.safetensors"
    assert spread([0.5]) == "50.00 % (1 seed)"


def test_a_bad_pick_and_a_table_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([str(tmp_path)]) == 2
    assert "is no run" in capsys.readouterr().err
    table = tmp_path / "t.csv"
    table.write_text("x_0,accuracy,macs\n0,0.5,1\n1,0.6,2\n2,0.7,3\n3,0.8,4\n")
    run_path = str(tmp_path / "run")
    arguments = ["--space", f"table:{table}", "--budget", "3", "--backend", "in_process", "--out", run_path]
    assert search.main(arguments) == 0
    assert train.main([run_path]) == 2
    assert "no networks to train" in capsys.readouterr().err


def command(run_path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "nas.train", str(run_path), *arguments]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    small = ["--epochs", "1", "--backend", "in_process", "--limit", "macs<=600k", "--algorithm", "random"]
    assert search.main(["--space", "pix", "--budget", "4", "--out", str(path), *small]) == 0
    return path


@pytest.mark.slow
def test_tune_carries_seeds_samples_and_distillation(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nas import front

    arguments = ["--pick", "best:macs", "--pick", "best:accuracy", "--epochs", "6", "--seeds", "2", "--samples", "4"]
    done = subprocess.run(command(searched, *arguments, "--distil"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and len(done.stdout.splitlines()) < 60
    assert "full-6ep-distilled-best-of-4" in done.stdout and "(2 seeds)" in done.stdout
    assert not (searched / "trained" / "tune" / "full-6ep-distilled-best-of-4").exists()
    assert not list(searched.glob("trained/*/*/*.pkl"))
    assert front.main([str(searched)]) == 0
    assert "trained in full" in capsys.readouterr().out
    once_more = subprocess.run(command(searched, *arguments, "--distil"), capture_output=True, text=True, check=False)
    assert once_more.returncode == 0 and "(2 seeds)" in once_more.stdout


@pytest.mark.slow
def test_a_killed_training_goes_on(searched: Path) -> None:
    arguments = command(searched, "--pick", "knee", "--epochs", "120")
    first = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not list(searched.glob("trained/tune/full-120ep/final/attempt-1/*/checkpoint_*/history.json")):
        time.sleep(0.5)
        assert first.poll() is None and time.monotonic() < end
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = searched.glob("trained/*/full-120ep/seed-0.json")
    about = json.loads(file.read_text())
    assert about["resumed_after"] > 0 and len(about["history"]) == 120
