"""What every worker does around an evaluation: no exception and no junk gets out, and weights are put where they belong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluators.evaluation import Evaluation, Evaluator, EvaluatorSpec, Outcome, checkpoint_of, failed
from nas.errors import UserError
from nas.failures import KINDS

MOST_DETAILS = 1 << 20


def make_evaluator(spec: EvaluatorSpec) -> Evaluator:
    """The evaluator in this process.

    Raises:
        UserError: it cannot be made here, be it for its data or its device; no trial could run.
    """
    try:
        return spec.make()
    except Exception as error:
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise UserError(f"a worker cannot start on this machine: {name}{' '.join(str(error).split())[:500]}") from error


def run_safely(evaluator: Evaluator, evaluation: Evaluation) -> Outcome:
    """The evaluator's outcome as plain data; a failure where it raised, returned something else, or gave scores that are no numbers.

    Weights that are named by a URL (any that fsspec knows) are written here first and then sent there. Their SHA-256 is kept.
    """
    target = evaluation.weights or ""
    try:
        if "://" not in target:
            return _checked(evaluator, evaluation, target)
        with tempfile.TemporaryDirectory(prefix="nas-weights-") as folder:
            local = os.path.join(folder, "weights.safetensors")
            if evaluation.after:
                with contextlib.suppress(OSError):  # it is lost, and the training begins anew
                    fetch(checkpoint_of(target), Path(checkpoint_of(local)))
            outcome = _checked(evaluator, replace(evaluation, weights=local), local)
            made, place = (checkpoint_of(local), checkpoint_of(target)) if evaluation.until else (local, target)
            if outcome.failure is None and os.path.exists(made):
                send(made, place)
            return outcome
    except Exception as error:
        return failed(evaluation, error)


def send(path: str | os.PathLike[str], url: str) -> None:
    """Copies a file to a URL, whole or not at all as far as the store can."""
    import fsspec

    system, place = fsspec.core.url_to_fs(url)
    system.makedirs(os.path.dirname(place), exist_ok=True)
    part = f"{place}.{os.getpid()}.part"
    system.put_file(os.fspath(path), part)
    system.mv(part, place)


def fetch(url: str, path: Path) -> None:
    """Copies what lies at a URL to a file, whole or not at all.

    Raises:
        FileNotFoundError: there is nothing.
    """
    import fsspec

    system, place = fsspec.core.url_to_fs(url)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    system.get_file(place, str(part))
    os.replace(part, path)


def discard(target: str) -> None:
    """Removes a file, or what lies at a URL; that it is not there, or cannot be removed, is no trouble."""
    with contextlib.suppress(OSError):
        if "://" not in target:
            os.unlink(target)
            return
        import fsspec

        system, place = fsspec.core.url_to_fs(target)
        system.rm_file(place)


def digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(evaluator: Evaluator, evaluation: Evaluation, weights: str) -> Outcome:
    outcome: object = evaluator.run(evaluation)
    if not isinstance(outcome, Outcome):
        raise TypeError(f"the evaluator returned {type(outcome).__name__} in place of an outcome")
    if (outcome.number, outcome.phase) != (evaluation.number, evaluation.phase):
        raise ValueError(f"the evaluator answered for trial {outcome.number!r} when asked for {evaluation.number}")
    if outcome.failure is not None:
        kind = outcome.failure if outcome.failure in KINDS else "error"
        return replace(
            outcome, failure=kind, message=str(outcome.message)[:2000], scores={}, details=_plain(outcome.details)
        )
    for name, score in outcome.scores.items():
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise ValueError(f"the evaluator returned {name} = {score!r}, which is no finite number")
    details = _plain(outcome.details)
    if weights and evaluation.phase == "train" and os.path.exists(weights):
        details["weights_sha256"] = digest(weights)
    return replace(outcome, scores={str(name): float(score) for name, score in outcome.scores.items()}, details=details)


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details as JSON gives them back, so that they can be recorded."""
    text = json.dumps(dict(details))
    if len(text) > MOST_DETAILS:
        raise ValueError(f"the evaluator's details take {len(text)} characters, at most {MOST_DETAILS} are kept")
    plain: dict[str, Any] = json.loads(text)
    return plain
