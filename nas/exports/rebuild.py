"""What an export begins with: a member's network with its weights, the search's or the fully trained ones, and the run's images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluators.evaluation import write_atomically
from nas.errors import UserError
from nas.options import read_toml
from nas.training.results import Result, result_of


def check_new(path: str | Path) -> Path:
    """The path, at which nothing but an empty folder may stand.

    Raises:
        UserError: something does.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"an export makes a folder, and {str(target)!r} exists: choose another")
    return target


def find_weights(folder: Any, member: Any, *, which: str) -> tuple[Path, Result | None]:
    """The file of a member's weights and the training that they are of, `None` for the search's.

    `which` is `search`, `trained`, or `auto`: trained where there are any.

    Raises:
        UserError: trained ones are asked for and there are none.
    """
    result = result_of(folder, key=member.trial.key) if which != "search" else None
    if result is None and which == "trained":
        raise UserError(
            f"{member.trial.key} has not been trained in full: run python -m nas.train {folder.path} "
            f"--pick key:{member.trial.key[:8]}, or export with --weights search"
        )
    if result is not None:
        return result.weights, result
    return search_weights(folder, member), None


def search_weights(folder: Any, member: Any) -> Path:
    """The file of a trial's weights; where the run keeps them at a URL they are fetched into its folder first.

    Raises:
        UserError: they cannot be fetched.
    """
    path: Path = folder.weights_of(member.trial.key, member.trial.replicate)
    place = read_toml(folder.config).get("weights", "")
    if place and not path.exists():
        import fsspec

        try:
            with fsspec.open(f"{place.rstrip('/')}/{path.name}", "rb") as file:
                content = file.read()
        except (OSError, ValueError, ImportError) as error:
            raise UserError(
                f"the weights {path.name!r} cannot be fetched from {place!r} ({error}): restore them"
            ) from None
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)
    return path


def rebuild(architecture_json: Mapping[str, Any], path: Path) -> tuple[Any, Any]:
    """The network of an architecture with the weights of a file, in eval mode, and the architecture.

    Raises:
        UserError: the weights are missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from search_spaces.architecture import Architecture
    from search_spaces.network import build

    try:
        architecture = Architecture.from_json(architecture_json)
    except ValueError as error:
        raise UserError(f"the record holds no architecture ({error}): restore the run from a backup") from None
    network = build(architecture)
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

    config = read_toml(folder.config)
    try:
        data = load(config["dataset"], data_dir=config["data_dir"] or None, skip_broken=config["skip_broken"])
    except ValueError as error:
        raise UserError(f"the run's images are needed: {error}") from None
    if data.checksum != facts["checksum"]:
        raise UserError(f"the data set {config['dataset']!r} has changed since the run: give it the same images")
    return data
