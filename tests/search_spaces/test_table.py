"""Tables read back as spaces, whatever the order of their rows; faults are named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search_spaces.table import read_table

HEADER = "x_0,x_1,accuracy,accuracy_0,accuracy_1,accuracy_10,macs,note"


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    file = path / "small.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


ROWS = ["2,7,50,49,50,51,200,b", "1,7,40,39,40,41,100,a", "1,3,10,9,10,11,20,c", "2,3,20,19,20,,40,d"]


def test_rows_become_genotypes(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, ROWS))
    assert (table.name, table.columns, table.options) == ("small", ("x_0", "x_1"), ((1, 2), (3, 7)))
    assert table.metrics["macs"].tolist() == [20, 100, 40, 200]
    assert [table.row((a, b)) for a in (0, 1) for b in (0, 1)] == [0, 1, 2, 3]
    assert table.seeds("accuracy") == ("accuracy_0", "accuracy_1", "accuracy_10")
    assert table.seeds("macs") == ("macs",)
    assert np.isnan(table.metrics["accuracy_10"][2]) and "note" not in table.metrics


def test_space(tmp_path: Path) -> None:
    space = read_table(write(tmp_path, ROWS)).space()
    assert space.size == 4 and space.name == "table:small"
    architecture = space.decode((1, 0))
    assert architecture.to_json() == {"table": "small", "genes": {"x_0": 2, "x_1": 3}}
    assert len({space.decode((a, b)).key for a in (0, 1) for b in (0, 1)}) == 4
    assert str(architecture) == "small 2-3"


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS[:3], HEADER, "1 are missing"),
        ([*ROWS[:3], ROWS[0]], HEADER, "1 are listed twice"),
        ([*ROWS[:3], "2,z,1,1,1,1,1,1"], HEADER, "must hold integers, got 'z'"),
        ([*ROWS, "1,2"], HEADER, "row 6 has 2"),
        (ROWS, HEADER.replace("x_", "y_"), "gene columns named x_"),
        ([], HEADER, "needs rows"),
        (ROWS, HEADER.replace("accuracy_0", "macs"), "distinct names"),
    ],
)
def test_faults_are_named(tmp_path: Path, rows: list[str], header: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path, rows, header))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"readable CSV file.*none\.csv"):
        read_table(tmp_path / "none.csv")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(ValueError, match="empty file"):
        read_table(empty)


def test_imports_no_torch() -> None:
    code = "import sys, search_spaces.table; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
