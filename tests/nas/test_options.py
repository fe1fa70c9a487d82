"""Options declared once: flags, TOML and defaults agree, and faults come together."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.training.recipe import RECIPES
from nas.config import SearchConfig, parse_limit
from nas.errors import UserError
from nas.options import add_arguments, at_least, option, resolve, to_toml
from nas.plan import recipe_of
from nas.problem import Limit


@dataclass(frozen=True)
class Some:
    number: int = option(3, "a number", check=at_least(1))
    share: float = option(0.5, "a share")
    name: str = option("x", "a name")
    many: tuple[str, ...] = option((), "some names")
    flag: bool = option(False, "a flag")


def parsed(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Some)
    return vars(parser.parse_args(list(arguments)))


def test_flag_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('number = 5\nname = "file"\n')
    some = resolve(Some, parsed("--name", "flag", "--many", "a,b", "--many", "c", "--flag"), config=str(file))
    assert some == Some(number=5, name="flag", many=("a", "b", "c"), flag=True)
    assert resolve(Some, {}) == Some()


def test_all_faults_come_together(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('nummber = 5\nflag = "yes"\nshare = true\n')
    with pytest.raises(UserError) as caught:
        resolve(Some, parsed("--number", "0"), config=str(file))
    faults = caught.value.args
    assert len(faults) == 4
    assert any("did you mean 'number'" in fault for fault in faults)


@given(
    st.builds(
        Some,
        number=st.integers(1, 10**9),
        share=st.floats(allow_nan=False, allow_infinity=False),
        name=st.text(),
        many=st.lists(st.text("abc:<=.", min_size=1), max_size=4).map(tuple),
        flag=st.booleans(),
    )
)
def test_toml_round_trip(tmp_path_factory: pytest.TempPathFactory, some: Some) -> None:
    file = tmp_path_factory.mktemp("toml") / "c.toml"
    file.write_text(to_toml(some), encoding="utf-8")
    assert resolve(Some, {}, config=str(file)) == some


def test_the_search_config_round_trips(tmp_path: Path) -> None:
    config = SearchConfig(objectives=("accuracy", "params"), limit=("macs<=2M",))
    (tmp_path / "c.toml").write_text(to_toml(config))
    assert resolve(SearchConfig, {}, config=str(tmp_path / "c.toml")) == config


@pytest.mark.parametrize(
    ("text", "value"), [("macs<=20M", 2e7), ("params <= 4e6", 4e6), ("macs>=1.5k", 1500), ("params<=3G", 3e9)]
)
def test_limits(text: str, value: float) -> None:
    assert parse_limit(text).value == value


@pytest.mark.parametrize("text", ["macs<=5M", "params>=1.5k", "macs<=3G", "latency_ms<=0.5", "params<=12", "macs<=0.0"])
def test_a_limit_is_shown_as_it_is_typed(text: str) -> None:
    assert str(parse_limit(text)) == text


@given(st.floats(0, 1e12))
def test_a_limit_that_was_shown_can_be_typed(value: float) -> None:
    limit = Limit("macs", "<=", value)
    assert parse_limit(str(limit)).value == value


@pytest.mark.parametrize("text", ["macs", "macs<20", "macs<=", "<=3", "macs<=3X", "macs<=-1"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="a limit is"):
        parse_limit(text)


def test_epochs_are_one_number_or_rising_rungs(tmp_path: Path) -> None:
    for text, want in (("5", (5,)), (["1,3,9"], (1, 3, 9)), (4, (4,)), ([1, 3], (1, 3)), (0, (0,))):
        config = resolve(SearchConfig, {"epochs": text})
        assert config.epochs == want
        file = tmp_path / "config.toml"
        file.write_text(to_toml(config))
        assert resolve(SearchConfig, {}, config=str(file)) == config
    assert recipe_of(resolve(SearchConfig, {"epochs": "1,3,9"})) == replace(RECIPES["proxy"], epochs=9, rungs=(1, 3))
    assert recipe_of(resolve(SearchConfig, {"epochs": 0})) == RECIPES["proxy"]
    for text, fault in (
        ("3,1", "--epochs takes rising numbers from 1, got 3,1"),
        ("0,2", "--epochs takes rising numbers from 1, got 0,2"),
        ("two", "--epochs must be a whole number, got 'two'"),
    ):
        with pytest.raises(UserError, match=fault):
            resolve(SearchConfig, {"epochs": text})
