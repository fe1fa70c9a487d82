"""Tables of block latencies: what they add up to, what they predict, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from evaluators.latency_table import BlockModel, LatencyTable, calibrate, features, read_latency_table, text_of
from evaluators.traffic import FEATURES, traffic
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.catalogue import SPACES
from search_spaces.network import cost_parts, make_stem

SPACE = SPACES["mixed"](channels=1, resolution=16, classes=10)
ABOUT = {
    "space": "mixed",
    "input": {"channels": 1, "resolution": 16, "classes": 10},
    "device": "cpu",
    "device_name": "none",
}


def truth(blocks: Sequence[Mapping[str, float]]) -> np.ndarray:
    """A made-up device: 0.01 ms an operation, 1 GMAC/s dense, 0.2 grouped, 4 G elements/s."""
    named = {name: np.array([block[name] for block in blocks]) for name in FEATURES}
    dense = named["dense_macs"] + named["winograd_macs"] + named["pointwise_macs"]
    return 0.01 * named["operations"] + dense / 1e6 + named["grouped_macs"] / 2e5 + named["elements"] / 4e6


def table_of(networks: int = 60) -> LatencyTable:
    generator = np.random.default_rng(0)
    parts = {}
    for _ in range(networks):
        for part in cost_parts(SPACE.decode(SPACE.sample(generator))):
            parts.setdefault(text_of(part[0]), part)
    keys = sorted(parts)[::2]
    blocks = [features(*parts[key]) for key in keys]
    entries = dict(zip(keys, truth(blocks).tolist(), strict=True))
    return LatencyTable("made-up", ABOUT, entries, BlockModel.fit(blocks, truth(blocks)), slope=1.25, offset_ms=0.3)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return table_of()


def test_blocks_that_were_not_timed_are_predicted(table: LatencyTable) -> None:
    generator = np.random.default_rng(1)
    errors = []
    for _ in range(15):
        architecture = SPACE.decode(SPACE.sample(generator))
        parts = list(cost_parts(architecture))
        exact = truth([features(*part) for part in parts])
        told = np.array(table.blocks_ms(architecture))
        for (key, _, _), a, b in zip(parts, exact, told, strict=True):
            if text_of(key) in table.entries:
                assert a == pytest.approx(b)
        errors.append(abs(told.sum() / exact.sum() - 1))
        assert table.latency_ms(architecture) == pytest.approx(1.25 * told.sum() + 0.3)
    assert np.median(errors) < 0.05


def test_a_table_survives_its_file(table: LatencyTable, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(table.to_json()))
    again = read_latency_table(tmp_path / "t.json")
    architecture = SPACE.decode(SPACE.sample(np.random.default_rng(9)))
    assert again.latency_ms(architecture) == table.latency_ms(architecture)
    assert again.name == "made-up" and again.about == table.about


def test_files_that_are_no_tables_are_refused(table: LatencyTable, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    with pytest.raises(ValueError, match="there is no latency table at .*: build it with python -m nas.latency"):
        read_latency_table(file)
    good = table.to_json()
    for text, words in (
        ("{", "is no latency table"),
        ("[]", "is no latency table"),
        ("{}", "is no latency table"),
        (json.dumps({**good, "format": 9}), "of format 9, and format 2 is read"),
        (json.dumps({**good, "entries": 3}), "is no latency table"),
        (json.dumps({**good, "model": {}}), "is no latency table"),
        (json.dumps({**good, "slope": float("nan")}), "something else than names and numbers"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_latency_table(file)


def test_keys_as_text_identify_blocks() -> None:
    keys: dict[str, object] = {}
    generator = np.random.default_rng(2)
    for _ in range(40):
        for key, _, _ in cost_parts(SPACE.decode(SPACE.sample(generator))):
            assert keys.setdefault(text_of(key), key) == key
    a, b = (Stage.of("pix", depth=1, width=8, stride=1, tau=tau) for tau in (0.0, 0.5))
    assert text_of((a, 8, 1, 16)) != text_of((b, 8, 1, 16))


def test_features_name_what_a_block_is() -> None:
    stage = Stage.of("pix", depth=1, width=8, stride=2, kernel=5)
    key = (stage.mixer, stage.width, stage.options, 4, True)
    found = features(key, lambda: make_stem(1, 8, kernel=3, stride=1, pool=False), (1, 1, 8, 8))
    assert found["key.0=pix"] == 1 and found["key.1"] == 8 and found["key.2.kernel"] == 5 and found["key.4"] == 1
    assert set(FEATURES) < set(found)


def test_what_a_block_is_tells_more_than_what_it_does() -> None:
    """A device on which a wide kernel is slow for no reason that its multiply-adds would tell."""
    generator = np.random.default_rng(3)
    rows = [{"macs": float(m), "key.kernel": float(k)} for m, k in generator.integers(1, 8, size=(80, 2))]
    slow = np.array([row["macs"] * (5 if row["key.kernel"] > 4 else 1) for row in rows])
    both = BlockModel.fit(rows[:60], slow[:60]).predict(rows[60:])
    alone = BlockModel.fit([{"macs": r["macs"]} for r in rows[:60]], slow[:60]).predict(rows[60:])
    errors = [float(np.median(np.abs(told / slow[60:] - 1))) for told in (both, alone)]
    assert errors[0] < 0.1 and errors[1] > 0.3


def test_calibration_leaves_the_odd_one_out() -> None:
    sums = np.linspace(1, 5, 20)
    whole = 1.4 * sums + 0.2
    whole[7] *= 3
    slope, offset = calibrate(sums, whole)
    assert slope == pytest.approx(1.4, rel=1e-6) and offset == pytest.approx(0.2, rel=1e-5)


def test_traffic_of_a_stem_by_hand() -> None:
    found = traffic(lambda: make_stem(3, 8, kernel=3, stride=1, pool=False), (1, 3, 10, 10))
    assert found["convolutions"] == 1 and found["operations"] >= 3
    assert found["dense_macs"] == 8 * 100 * 27 and found["weights"] == 8 * 27
    assert found["pointwise_macs"] == found["grouped_macs"] == 0


@pytest.mark.parametrize(
    ("shape", "options", "kind"),
    [
        ((16, 32, 3), {"padding": 1}, "winograd"),
        ((16, 32, 3), {}, "dense"),
        ((16, 32, 3), {"padding": 1, "stride": 2}, "dense"),
        ((16, 24, 3), {"padding": 1}, "dense"),
        ((16, 32, 5), {}, "dense"),
        ((16, 32, 1), {}, "pointwise"),
        ((16, 32, 3), {"groups": 16}, "grouped"),
    ],
)
def test_traffic_tells_sorts_of_convolutions(shape: tuple[int, ...], options: dict[str, int], kind: str) -> None:
    found = traffic(lambda: nn.Conv2d(*shape, **options), (1, 16, 8, 8))
    assert [name for name in FEATURES if name.endswith("_macs") and found[name]] == [f"{kind}_macs"]


def test_a_network_costs_more_than_nothing(table: LatencyTable) -> None:
    tiny = Architecture(1, 8, 2, Stem(4), (Stage.of("conv1x1", depth=1, width=4, stride=1),))
    assert table.latency_ms(tiny) > 0
