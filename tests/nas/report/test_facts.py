from nas.report.facts import columns, drawable, facts
from search_spaces.architecture import Architecture, Stage, Stem


def architecture() -> Architecture:
    stages = (
        Stage.of("pix", depth=2, width=16, stride=1, kernel=3, tau=0.5, zeta=2),
        Stage.of("mux", depth=1, width=24, stride=2, kernels=(3, 5)),
    )
    return Architecture(1, 32, 10, Stem(8), stages, head=64)


def test_facts_name_what_each_stage_chooses() -> None:
    found = facts(drawable(architecture().to_json()))
    assert found["resolution"] == 32 and found["stem.width"] == 8 and found["head.width"] == 64
    assert found["stage1.mixer"] == "pix" and found["stage1.tau"] == 0.5
    assert found["stage2.kernels"] == "3+5"
    assert "stage2.tau" not in found


def test_the_genes_of_a_table_are_its_facts() -> None:
    assert facts(drawable({"table": "t", "genes": {"x_0": 2, "x_1": 0}})) == {"x_0": 2, "x_1": 0}


def test_what_is_no_architecture_is_neither_drawn_nor_told() -> None:
    data = architecture().to_json()
    for odd in (
        None,
        [],
        "text",
        {},
        {**data, "stages": data["stages"] * 100},
        {**data, "stages": [{**data["stages"][0], "depth": 10**9}]},
        {**data, "stages": [{**data["stages"][0], "depth": True}]},
        {"genes": {"x_0": {"nested": 1}}},
        {"genes": {f"x_{i}": 0 for i in range(1000)}},
        {"genes": {"x_0": "long" * 100}},
    ):
        assert drawable(odd) is None
        assert facts(drawable(odd)) == {}


def test_columns_hold_options_in_order_and_leave_out_what_never_varies() -> None:
    rows = [{"a": 10, "b": 1, "c": "z"}, {"a": 9, "b": 1}, {"a": 10, "b": 1, "c": "y"}]
    found = {column.name: column for column in columns(rows)}
    assert list(found) == ["a", "c"]
    assert found["a"].options == (9, 10) and found["a"].indices == (1, 0, 1)
    assert found["c"].options == ("y", "z") and found["c"].indices == (1, None, 0)
