"""`python -m nas.export RUN --pick knee --to DIR`: takes an architecture away, in every form, each checked against the network."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import UserError, run_command

EXAMPLES = """examples:
  python -m nas.export runs/pix-digits-1 --pick knee --to exported
  python -m nas.export runs/pix-digits-1 --pick best:accuracy --to exported-best
  python -m nas.export runs/pix-digits-1 --pick key:3f2a --to exported-3f2a
"""
CHECKED_IMAGES = 64


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas export", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.export",
        description="Write a found network as source, weights and ONNX, and check that all agree.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument(
        "--pick", metavar="RULE", default="knee", help="knee, best:OBJECTIVE or key:KEY (default: knee)"
    )
    parser.add_argument("--to", metavar="DIR", required=True, help="folder to be made")
    options = parser.parse_args(arguments)

    from nas.archive import Archive
    from nas.members import members
    from nas.pick import pick
    from nas.run import RunFolder

    folder, target = RunFolder.open(options.run), Path(options.to)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--to makes a folder, and {str(target)!r} exists: choose another")
    archive = Archive.open(options.run)
    if archive.recipe["name"] == "table":
        raise UserError(f"the run {options.run!r} looked its scores up in a table: it has no networks to export")
    chosen = pick(options.pick, archive.front(), members(archive.trials), archive.objectives)
    print(f"{chosen.member.trial.key}: {chosen.reason}")
    card = export(folder, archive, chosen.member, target, pick=options.pick)
    if "accuracy" in card["scores"]:
        again, promised = card["accuracy_again"], card["scores"]["accuracy"]
        print(
            f"{'accuracy':>20}  {100 * again:.2f} % on the validation part, and the search said {100 * promised:.2f} %"
        )
    for form, check in card["checks"].items():
        print(f"{form:>20}  differs by {check['relative_difference']:.1e} on {check['images']} images")
    print(f"wrote {target}: " + ", ".join(sorted(f.name for f in target.iterdir())))
    return 0


def export(folder: Any, archive: Any, member: Any, target: Path, *, pick: str) -> dict[str, Any]:
    """Writes all forms to a new folder, whole or not at all; returns the card.

    Raises:
        UserError: weights or data of the run are missing or damaged.
        MismatchError: a form does not compute what the network computes.
    """
    import torch

    from evaluators.training.train import evaluate, normalise
    from nas.exports.forms import check, logits_of_onnx, logits_of_source, write_onnx
    from nas.exports.source import model_source

    network, architecture = rebuild(folder, member)
    about = folder.read_environment()
    data = load_data(folder, about["data"]).at(architecture.resolution)
    images = normalise(data.validation.images[:CHECKED_IMAGES], data)
    with torch.no_grad():
        reference = network(images)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        (part / "architecture.json").write_text(json.dumps(architecture.to_json(), indent=2) + "\n", encoding="utf-8")
        shutil.copyfile(folder.weights_of(member.trial.key, member.trial.replicate), part / "weights.safetensors")
        title = f"Network {architecture.key}, found in the space {about['space']['name']} on {_dataset(about)}."
        (part / "model.py").write_text(model_source(architecture, title=title, data=about["data"]), encoding="utf-8")
        write_onnx(network, images, part / "model.onnx")
        checks = {
            "model.py": check("model.py", logits_of_source(part, images), reference),
            "model.onnx": check("model.onnx", logits_of_onnx(part / "model.onnx", images), reference),
        }
        card = _card(archive, member, about, pick, {name: (d, len(images)) for name, d in checks.items()})
        card["accuracy_again"] = evaluate(network, data, data.validation)
        (part / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(part / "__pycache__", ignore_errors=True)
        part.chmod(0o755)
        if target.exists():
            target.rmdir()
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return card


def rebuild(folder: Any, member: Any) -> tuple[Any, Any]:
    """The network of a member with the weights of its trial, in eval mode, and its architecture.

    Raises:
        UserError: the weights are missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from search_spaces.architecture import Architecture
    from search_spaces.network import build

    architecture = Architecture.from_json(member.trial.architecture)
    network = build(architecture)
    path = folder.weights_of(member.trial.key, member.trial.replicate)
    try:
        network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(
            f"the weights {str(path)!r} are missing: restore them, or train with python -m nas.train"
        ) from None
    except (SafetensorError, RuntimeError, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(
            f"the weights {str(path)!r} are damaged ({text}): restore them, or pick another network"
        ) from None
    return network.eval(), architecture


def load_data(folder: Any, facts: Mapping[str, Any]) -> Any:
    """The run's data set, which must be the one that it was trained on.

    Raises:
        UserError: it is not to be had, or has changed.
    """
    from evaluators.training.datasets import load
    from nas.options import read_toml

    config = read_toml(folder.config)
    try:
        data = load(config["dataset"], data_dir=config["data_dir"] or None, skip_broken=config["skip_broken"])
    except ValueError as error:
        raise UserError(f"an export is checked on the run's images: {error}") from None
    if data.checksum != facts["checksum"]:
        raise UserError(f"the data set {config['dataset']!r} has changed since the run: give it the same images")
    return data


def _dataset(about: dict[str, Any]) -> str:
    name: str = about["data"]["name"]
    return Path(name.removeprefix("folder:")).name if name.startswith("folder:") else name


def _card(
    archive: Any, member: Any, about: dict[str, Any], pick: str, checks: dict[str, tuple[float, int]]
) -> dict[str, Any]:
    return {
        "key": member.trial.key,
        "picked": pick,
        "scores": dict(member.scores),
        "scores_are": f"of the {archive.recipe['name']} recipe, on the validation part",
        "objectives": [vars(objective) for objective in archive.objectives],
        "recipe": archive.recipe,
        "seed": member.trial.seed,
        "trial": member.trial.number,
        "data": {name: value for name, value in about["data"].items() if name != "name"} | {"name": _dataset(about)},
        "input": {
            "name": "images",
            "layout": "NCHW",
            "dtype": "float32",
            "normalise": "(pixel − mean) / std, pixels 0…255",
        },
        "versions": {"nas": about["nas"], "python": about["python"], **about["packages"]},
        "git": about["git"],
        "checks": {form: {"relative_difference": d, "images": n} for form, (d, n) in checks.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
