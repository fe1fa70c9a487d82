"""The options of a full training, each declared once, and the recipe and label that follow from them; it knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evaluators.training.recipe import RECIPES, Recipe
from nas.errors import UserError
from nas.options import at_least, one_of, option, read_toml, resolve
from search_spaces.architecture import key_of

FINE_TUNING = 0.1


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a full training depends on besides the run and the picks."""

    recipe: str = option("full", "how to train", metavar="NAME", check=one_of(lambda: RECIPES), group="how")
    epochs: int = option(0, "epochs, 0 for the recipe's own", metavar="N", check=at_least(0), group="how")
    seeds: int = option(1, "trainings with different seeds", metavar="K", check=at_least(1), group="how")
    samples: int = option(
        1,
        "above 1: samples of the recipe's hyper-parameters, judged on the validation part; the best is then trained in full",
        metavar="N",
        check=at_least(1),
        group="how",
    )
    from_weights: bool = option(False, "begin with the search's weights, at a tenth of the learning rate", group="how")
    distil: bool = option(False, "learn from the most accurate network of the front beside the labels", group="how")
    seed: int = option(0, "seed of everything random", metavar="N", check=at_least(0), group="how")
    workers: int = option(
        0, "trainings at a time, 0 for one a core or GPU", metavar="N", check=at_least(0), group="where"
    )
    device: str = option(
        "auto", "auto, cpu or cuda", metavar="NAME", check=one_of(("auto", "cpu", "cuda")), group="where"
    )


def read_options(given: Mapping[str, Any], file: str | None) -> tuple[TrainConfig, Recipe]:
    """The options from a TOML file and flags, and the recipe with the file's `[override]` table laid over it.

    Raises:
        UserError: with every fault found.
    """
    table = read_toml(file) if file is not None else {}
    override = table.pop("override", {})
    config = resolve(TrainConfig, given, base=table)
    if not isinstance(override, dict):
        raise UserError(f"[override] must be a table of a recipe's values, got {override!r}: see nas.train --help")
    recipe = RECIPES[config.recipe]
    if config.epochs:
        recipe = replace(recipe, epochs=config.epochs)
    if config.from_weights:
        recipe = replace(recipe, learning_rate=recipe.learning_rate * FINE_TUNING)
    try:
        return config, Recipe.from_json({**recipe.to_json(), **override})
    except ValueError as error:
        raise UserError(f"{file}: [override]: {error}") from None


def label_of(config: TrainConfig, recipe: Recipe) -> str:
    """A name of how a network was trained, as `full-100ep-distilled`; other settings of the recipe show as six digits."""
    base = RECIPES[config.recipe]
    usual = replace(base, epochs=recipe.epochs)
    if config.from_weights:
        usual = replace(usual, learning_rate=base.learning_rate * FINE_TUNING)
    parts = [f"{recipe.name}-{recipe.epochs}ep"]
    parts += ["from-weights"] if config.from_weights else []
    parts += ["distilled"] if config.distil else []
    parts += [f"best-of-{config.samples}"] if config.samples > 1 else []
    parts += [key_of(recipe.to_json())[:6]] if recipe != usual else []
    parts += [f"s{config.seed}"] if config.seed else []
    return "-".join(parts)


def sample_recipes(recipe: Recipe, n: int, *, seed: int) -> list[Recipe]:
    """The recipe itself and n − 1 draws around it: learning rate, weight decay, label smoothing, mixup and cutout."""
    import numpy as np

    generator = np.random.default_rng([seed, 0x7121])
    samples = [recipe]
    for _ in range(n - 1):
        samples.append(
            replace(
                recipe,
                learning_rate=float(f"{recipe.learning_rate * 4 ** generator.uniform(-1, 1):.3g}"),
                weight_decay=float(f"{recipe.weight_decay * 6 ** generator.uniform(-1, 1):.3g}"),
                label_smoothing=float(generator.choice([0.0, 0.05, 0.1])),
                mixup=float(generator.choice([0.0, 0.1, 0.2])),
                cutout=int(generator.choice([0, 8, 12])),
            )
        )
    return samples
