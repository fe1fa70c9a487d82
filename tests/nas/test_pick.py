"""Every rule of choosing, on a front worked out by hand."""

from __future__ import annotations

import pytest

from evaluators.objective import OBJECTIVES
from nas.errors import UserError
from nas.members import Member
from nas.pick import pick, pick_all
from nas.problem import Trial

OURS = (OBJECTIVES["accuracy"], OBJECTIVES["macs"])


def member(key: str, accuracy: float, macs: float, params: float = 1.0) -> Member:
    scores = {"accuracy": accuracy, "macs": macs, "params": params}
    return Member(Trial(0, (), key, {}, 0, "finished", scores), scores, 1)


FRONT = [
    member("aa1", 0.50, 1e6, params=9),
    member("ab2", 0.90, 2e6, params=7),
    member("c3", 0.97, 8e6, params=8),
    member("d4", 0.99, 20e6, params=6),
]
EVERYONE = [*FRONT, member("e5", 0.40, 30e6)]

CHOICES = {
    "knee": "ab2",
    "best:accuracy": "d4",
    "best:macs": "aa1",
    "best:params": "d4",
    "prefer:accuracy>=0.9,macs": "ab2",
    "prefer:accuracy>=0.95, macs": "c3",
    "prefer:accuracy>=0.9,macs<=10M,params": "ab2",
    "prefer:macs<=10M,accuracy": "c3",
    "prefer:macs": "aa1",
    "weights:accuracy=1,macs=1": "ab2",
    "weights:accuracy=100,macs=1": "d4",
    "weights:macs=2": "aa1",
    "key:c": "c3",
    "key:e5": "e5",
}


@pytest.mark.parametrize("rule", CHOICES)
def test_every_rule_chooses_what_its_words_say(rule: str) -> None:
    found = pick(rule, FRONT, EVERYONE, OURS)
    assert found.member.trial.key == CHOICES[rule]
    assert len(found.reason) > 10


def test_the_reason_names_bounds_and_weights() -> None:
    assert pick("prefer:accuracy>=0.9,macs", FRONT, EVERYONE, OURS).reason == (
        "the best macs of the 3 on the front with accuracy>=0.9"
    )
    assert "2·accuracy + 1·macs" in pick("weights:accuracy=2,macs=1", FRONT, EVERYONE, OURS).reason


BAD = {
    "kne": "did you mean 'knee'",
    "knee:x": "leave out",
    "best:": "takes scores of this run (accuracy, macs, params)",
    "best:acuracy": "did you mean 'accuracy'",
    "prefer:accuracy>=0.995,macs": "the nearest has 0.99 (a fraction)",
    "prefer:accuracy=0.9,macs": "NAME<=NUMBER",
    "prefer:accuracy>=0.9": "got 'accuracy>=0.9'",
    "prefer:latency_ms<=3,macs": "got 'latency_ms'",
    "weights:accuracy": "numbers above 0, got 'accuracy'",
    "weights:accuracy=-1": "numbers above 0",
    "weights:accuracy=inf": "numbers above 0",
    "key:": "no finished architecture",
    "key:a": "2 architectures have",
    "all": "takes one of",
}


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_rule_is_one_sentence(rule: str) -> None:
    with pytest.raises(UserError) as caught:
        pick(rule, FRONT, EVERYONE, OURS)
    assert BAD[rule] in str(caught.value) and "\n" not in str(caught.value)


def test_several_rules_name_each_member_once() -> None:
    keys = [p.member.trial.key for p in pick_all(["best:macs", "all", "knee"], FRONT, EVERYONE, OURS)]
    assert keys == ["aa1", "ab2", "c3", "d4"]
    assert len(pick_all(["knee", "key:ab"], FRONT, EVERYONE, OURS)) == 1


def test_nothing_to_pick_from() -> None:
    for rule in ("all", "knee"):
        with pytest.raises(UserError, match="before a trial has finished"):
            pick_all([rule], [], [], OURS)


def test_equal_scores_do_not_divide_by_zero() -> None:
    assert pick("weights:accuracy=1,macs=1", FRONT[:1], FRONT[:1], OURS).member.trial.key == "aa1"
