"""The table of the detector."""

import json

import pytest

from scripts.experiments.detection import (
    OUTSIDE,
    VARIANTS,
    calibration_error,
    cost,
    outside_groups,
    score_detection,
)
from tests.scripts.experiments.test_bag_of_words import toy_docs


def test_calibration_error_by_hand():
    assert calibration_error([0.95, 0.95, 0.95, 0.95], [True, True, True, False]) == pytest.approx(
        0.2
    )
    assert calibration_error([0.25, 0.75], [False, True]) == pytest.approx(0.25)
    assert calibration_error([1.0, 1.0], [True, True]) == 0


@pytest.mark.parametrize(("size", "n"), [(1, 288), (2, 144), (8, 36)])
def test_outside_groups_are_of_one_thread(make_nlp, size, n):
    groups, styles = outside_groups(OUTSIDE / "dev.jsonl", make_nlp(), size)
    assert len(groups) == len(styles) == n
    assert all(len({doc._.thread for doc in group}) == 1 for group in groups)
    assert sorted(set(styles)) == ["decorated", "mixed", "plain"]


def test_texts_of_no_domain_name_none():
    rows = [json.loads(line) for line in (OUTSIDE / "none.jsonl").read_text("utf8").splitlines()]
    assert len(rows) == 64
    assert {row["domain"] for row in rows} == {None}


def test_the_table(make_nlp):
    nlp = make_nlp()
    report = score_detection(nlp, toy_docs(9, 0))
    assert list(report["outside"]) == list(report["corpora"]) == ["1", "2", "4", "8"]
    assert report["outside"]["8"]["n_groups"] == 36
    assert report["corpora"]["8"]["n_groups"] == 6
    assert set(report["changed"]["outside"]) == set(VARIANTS)
    assert report["none"]["8"]["n_none"] == 8
    assert 0 <= report["none"]["8"]["auroc"] <= 1
    shares = cost(nlp, toy_docs(4, 1))
    assert shares["share"] == pytest.approx(shares["detector"] / shares["tagger"])
