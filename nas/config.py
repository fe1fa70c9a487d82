"""The options of a search, each declared once; it knows no argv and imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from evaluators.training.recipe import RECIPES
from nas.algorithms.catalogue import ALGORITHMS
from nas.options import at_least, one_of, option
from nas.problem import Limit
from nas.workers.catalogue import BACKENDS
from search_spaces.catalogue import SPACES

_SUFFIXES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_LIMIT = re.compile(r"\s*([A-Za-z_@][\w@-]*)\s*(<=|>=)\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([kKmMgGtT]?)\s*")


UNTRAINED = ("synflow", "grad_norm", "naswot")


def _untrained(value: tuple[str, ...]) -> str | None:
    faults = (one_of(UNTRAINED)(name) for name in value)
    return next((fault for fault in faults if fault), None)


@dataclass(frozen=True)
class SearchConfig:
    """Everything that a search depends on; saved as `config.toml` with the run."""

    space: str = option(
        "pix", "search space", metavar="NAME", check=one_of(lambda: SPACES, prefixes=("table:",)), group="what"
    )
    dataset: str = option("digits", "data set, or folder:DIR for your own images", metavar="NAME", group="what")
    data_dir: str = option("", "folder in which the data set lies", metavar="DIR", group="what")
    download: bool = option(False, "fetch the data set if it is missing", group="what")
    skip_broken: bool = option(False, "leave out images that cannot be read", group="what")
    train_images: int = option(
        0,
        "train on so many images, drawn evenly from the classes; 0 for all",
        metavar="N",
        check=at_least(0),
        group="what",
    )
    objectives: tuple[str, ...] = option(
        ("accuracy", "macs"), "two or more of accuracy, macs, params, latency_ms", metavar="A,B,…", group="what"
    )
    latency_table: tuple[str, ...] = option(
        (),
        "table made by nas.latency: latency_ms is looked up; of several tables, latency_ms@NAME",
        metavar="FILE",
        group="what",
    )
    limit: tuple[str, ...] = option(
        (), 'bound on a counted objective, as "macs<=20M"; may be repeated', metavar="BOUND", group="what"
    )
    budget: int = option(60, "number of finished trials", metavar="N", check=at_least(1), group="how")
    algorithm: str = option("surrogate", "what proposes", metavar="NAME", check=one_of(lambda: ALGORITHMS), group="how")
    recipe: str = option("proxy", "how a trial trains", metavar="NAME", check=one_of(lambda: RECIPES), group="how")
    epochs: tuple[int, ...] = option(
        (),
        "epochs a trial; those before the last, as in 1,3,9, are rungs, at which what will not improve the front is stopped (default: the recipe's own)",
        metavar="N",
        check=lambda value: (
            None
            if all(a < b for a, b in pairwise((0, *value))) or value == (0,)
            else f"takes rising numbers from 1, got {','.join(map(str, value))}"
        ),
        group="how",
    )
    stop_below: float = option(
        0.1,
        "at a rung, stop a trial whose probability of raising the hypervolume by 0.05 % or more is below this; 0 to stop none",
        metavar="P",
        check=lambda value: None if 0 <= value < 1 else f"must be from 0 to below 1, got {value:g}",
        group="how",
    )
    from_run: str = option(
        "",
        "run of the same space, data and recipe that the algorithm learns from",
        metavar="RUN",
        group="how",
        flag="--from",
    )
    reevaluate: bool = option(
        False,
        "let the surrogate ask for known front members again, with another seed, where that tells more",
        group="how",
    )
    zero_cost: tuple[str, ...] = option(
        (),
        "scores of untrained networks that the surrogate learns from where it ranks better by them: "
        + ", ".join(UNTRAINED),
        metavar="A,B,…",
        check=_untrained,
        group="how",
    )
    settle: int = option(
        0,
        "on --resume: train so many known architectures again, where it settles the front most",
        metavar="K",
        check=at_least(0),
        group="how",
    )
    seed: int = option(0, "seed of the run", metavar="N", check=at_least(0), group="how")
    backend: str = option(
        "ray", "where trials run: ray or in_process", metavar="NAME", check=one_of(lambda: BACKENDS), group="where"
    )
    workers: int = option(0, "trials at a time, 0 for one a core or GPU", metavar="N", check=at_least(0), group="where")
    trials_per_device: str = option(
        "1",
        "trials at a time on each GPU, or auto for as many as its memory holds",
        metavar="N",
        check=lambda value: (
            None if value == "auto" or value.isdigit() and int(value) else f"takes a number or auto, got {value!r}"
        ),
        group="where",
    )
    device: str = option(
        "auto", "auto, cpu or cuda", metavar="NAME", check=one_of(("auto", "cpu", "cuda")), group="where"
    )
    trial_timeout: float = option(
        0.0, "seconds after which a trial is given up, 0 for never", metavar="SECONDS", check=at_least(0), group="where"
    )
    address: str = option("", "running Ray cluster to join, as HOST:PORT or auto", metavar="ADDR", group="where")
    storage: str = option(
        "",
        "database for the study, as postgresql+psycopg://USER@HOST/NAME, in place of a file",
        metavar="URL",
        group="where",
    )
    weights: str = option(
        "",
        "place for trained weights, a URL that fsspec knows, in place of the run folder",
        metavar="URL",
        group="where",
    )


def parse_limit(text: str) -> Limit:
    """A bound such as `macs<=20M` or `params<=4e6`.

    Raises:
        ValueError: it is no bound.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f'a limit is NAME<=NUMBER or NAME>=NUMBER, as "macs<=20M", got {text[:60]!r}')
    name, relation, number, suffix = match.groups()
    sign: Literal["<=", ">="] = "<=" if relation == "<=" else ">="
    return Limit(name, sign, float(number) * _SUFFIXES[suffix.lower()])
