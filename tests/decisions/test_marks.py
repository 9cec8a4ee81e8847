"""A reviewer's marks: read with care, and stronger than any suggestion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gexcore.decisions.clean import Cleaned, clean
from gexcore.decisions.marks import Marks, read_marks
from gexcore.errors import InvalidDataError

GIVEN = np.array([0, 1, 2, 0, 1, 2])


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "marks.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_the_page_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "index,label,label_name,suspicion,mark,new_label,new_label_name\r\n"
        "4,1,b,2.5,wrong,0,a\r\n1,1,b,2.0,wrong,,\r\n2,2,c,1.0,fine,,\r\n5,2,c,0.5,unsure,,\r\n",
    )
    marks = read_marks(path, GIVEN, 3)
    assert marks.wrong.tolist() == [1, 4]
    assert marks.labels.tolist() == [-1, 0]
    assert marks.fine.tolist() == [2, 5]


def test_labels_may_be_names(tmp_path: Path) -> None:
    text = "index,label,mark,new_label\n4,shoe,wrong,bag\n5,2,wrong,shoe\n"
    marks = read_marks(written(tmp_path, text), GIVEN, 3, names=np.array(["bag", "shoe", "hat"]))
    assert marks.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("index,label,mark\n4,bag,wrong\n", "another label for sample 4 than the data"),
        ("index,mark,new_label\n4,wrong,boot\n", "from 0 to 2, or one of the names bag, shoe, 7"),
        # a number is never a name: it could be the number of another class
        ("index,mark,new_label\n4,wrong,7\n", "has new_label '7'"),
        ("index,mark\nbag,wrong\n", "has index 'bag', and needs a whole number from 0 to 5$"),
    ],
)
def test_names_of_something_else_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        read_marks(written(tmp_path, text), GIVEN, 3, names=["bag", "shoe", "7"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("label,mark\n0,wrong\n", "no columns index and mark"),
        ("index,mark\n0,bad\n", "line 2 of the marks has 'bad'; allowed are wrong, fine, unsure"),
        ("index,mark\n6,fine\n", "line 2 of the marks has index '6'.* from 0 to 5"),
        ("index,mark\n-1,fine\n", "line 2 of the marks has index '-1'"),
        ("index,mark\n0,fine\n0,wrong\n", "line 3 of the marks repeats sample 0"),
        ("index,label,mark\n0,1,fine\n", "another label for sample 0 than the data"),
        ("index,mark,new_label\n0,wrong,3\n", "has new_label '3'.* from 0 to 2"),
        ("index,mark,new_label\n0,wrong,x\n", "has new_label 'x'"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        read_marks(written(tmp_path, text), GIVEN, 3)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    path.write_bytes(b"\xff\xfe\x00index")
    with pytest.raises(InvalidDataError, match="cannot be read as marks"):
        read_marks(path, GIVEN, 3)
    with pytest.raises(InvalidDataError, match=r"as marks \(No such file or directory\);"):
        read_marks(tmp_path / "none.csv", GIVEN, 3)


def marks_of(wrong: Any, labels: Any, fine: Any) -> Marks:
    return Marks(*(np.array(part, np.intp) for part in (wrong, labels, fine)))


def test_a_mark_beats_the_threshold_and_the_suggestion() -> None:
    marks = marks_of([1, 4], [-1, 0], [2])
    assert marks.chosen(np.array([2, 3])).tolist() == [1, 3]
    found = marks.applied(clean(GIVEN, marks.chosen(np.array([2, 3])), "drop"), GIVEN)
    assert found.indices.tolist() == [0, 2, 4, 5]
    assert found.targets.tolist() == [0, 2, 0, 2]
    assert found.changed.tolist() == [1, 3, 4]


def test_soft_targets_take_the_label_as_a_row() -> None:
    soft = Cleaned(np.arange(6), np.full((6, 3), 1 / 3), np.arange(6), "distill")
    found = marks_of([4], [0], []).applied(soft, GIVEN)
    assert found.targets[4].tolist() == [1.0, 0.0, 0.0]
    assert found.targets[3].tolist() == [1 / 3] * 3


@given(
    st.lists(st.sampled_from(["wrong", "fine", ""]), min_size=6, max_size=6),
    st.lists(st.integers(-1, 2), min_size=6, max_size=6),
    st.sets(st.integers(0, 5), max_size=2),
)
def test_every_mark_is_kept(kinds: list[str], labels: list[int], suspects: set[int]) -> None:
    wrong = [i for i, kind in enumerate(kinds) if kind == "wrong"]
    fine = [i for i, kind in enumerate(kinds) if kind == "fine"]
    marks = marks_of(wrong, [labels[i] for i in wrong], fine)
    chosen = marks.chosen(np.array(sorted(suspects), np.intp))
    kept = np.setdiff1d(np.arange(6), chosen)
    found = marks.applied(Cleaned(kept, GIVEN[kept], chosen, "drop"), GIVEN)
    after = dict(zip(found.indices.tolist(), found.targets.tolist(), strict=True))
    for i in fine:
        assert after[i] == GIVEN[i]
    for i in wrong:
        assert after.get(i, -1) == labels[i]
    for i in set(range(6)) - set(wrong) - set(fine) - suspects:
        assert after[i] == GIVEN[i]
