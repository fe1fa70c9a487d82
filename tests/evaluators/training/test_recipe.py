"""Recipes are values that survive JSON and refuse what cannot be trained."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from evaluators.training.recipe import FULL, PROXY, RECIPES, Recipe


@pytest.mark.parametrize("recipe", [PROXY, FULL], ids=lambda r: r.name)
def test_every_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe
    in_rungs = replace(recipe, rungs=(1, 3))
    assert Recipe.from_json(json.loads(json.dumps(in_rungs.to_json()))) == in_rungs
    assert RECIPES[recipe.name] is recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("batch_size", 1), ("learning_rate", 0.0), ("momentum", 1.0), ("weight_decay", -1.0), ("warmup", 1.0),
        ("label_smoothing", 1.0), ("ema", 1.0), ("clip", -1.0), ("crop", 32), ("cutout", -1), ("mixup", -0.1), ("recalibrate", -1),
        ("randaugment", -1), ("binarise_from", 1.5), ("rungs", (0, 2)), ("rungs", (3, 2)), ("rungs", (5,)),
    ],
)  # fmt: skip
def test_every_number_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} = .* is out of range"):
        Recipe(**{name: value})


def test_unknown_names_and_wrong_types_are_refused() -> None:
    with pytest.raises(ValueError, match="a recipe has no 'epoch'; it has"):
        Recipe.from_json({"epoch": 3})
    with pytest.raises(ValueError, match="epochs must be a int, got 3.0"):
        Recipe.from_json({"epochs": 3.0})
    with pytest.raises(ValueError, match="flip must be a bool, got 1"):
        Recipe.from_json({"flip": 1})
    with pytest.raises(ValueError, match="rungs must be a list of whole numbers, got '1,2'"):
        Recipe.from_json({"rungs": "1,2"})
    assert Recipe.from_json({"mixup": 1}).mixup == 1.0
