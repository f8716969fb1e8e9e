"""The paired bootstrap, on counts made by hand."""

import json

import pytest
from rich.console import Console
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from scripts.build.scoring.detection import make_groups
from scripts.build.scoring.entities import count_docs, score_entities
from scripts.experiments.compare import app, compare, print_comparison, read_counts
from scripts.record import build_header, save

RIGHT, MISSED, EXTRA = [1, 0, 0], [0, 0, 1], [1, 1, 0]
GOOD = {"news": [RIGHT] * 40, "art": [RIGHT] * 6 + [MISSED] * 2}
POOR = {"news": [RIGHT, MISSED] * 20, "art": [EXTRA] * 6 + [MISSED] * 2}


def test_identical_systems_do_not_differ():
    report = compare(POOR, POOR, n_resamples=100)
    entries = [*report["per_domain"].values(), *report["macro"].values()]
    assert len(entries) == 4
    for entry in entries:
        assert entry["difference"] == 0.0
        assert entry["interval"] == [0.0, 0.0]
        assert entry["p"] == 1.0


def test_differences_of_domains_and_macros():
    report = compare(GOOD, POOR, n_resamples=1000)
    news, art = report["per_domain"]["news"], report["per_domain"]["art"]
    assert (news["a"], news["b"]) == (1.0, pytest.approx(2 / 3))
    assert news["difference"] == pytest.approx(1 / 3)
    assert art["a"] == pytest.approx(12 / 14)  # 6 right, 2 missed
    assert art["b"] == pytest.approx(12 / 20)  # and 6 too many
    assert report["macro"]["social"] == {"domains": 1, **art}
    everything = report["macro"]["all"]
    assert everything["domains"] == 2
    assert everything["difference"] == pytest.approx((1 / 3 + 12 / 14 - 12 / 20) / 2)
    for entry in (news, art, everything):
        assert 0 < entry["interval"][0] < entry["difference"] < entry["interval"][1]
        assert entry["p"] == pytest.approx(2 / 1001)  # none of the resamples


def test_systems_swapped():
    report, swapped = (compare(*pair, n_resamples=300) for pair in ((GOOD, POOR), (POOR, GOOD)))
    for kind in ("per_domain", "macro"):
        for name, entry in report[kind].items():
            other = swapped[kind][name]
            assert (other["a"], other["b"]) == (entry["b"], entry["a"])
            assert other["difference"] == -entry["difference"]
            assert other["interval"] == pytest.approx([-v for v in reversed(entry["interval"])])
            assert other["p"] == entry["p"]


def test_a_difference_by_chance_is_not_significant():
    # 10 docs that only A gets and 10 that only B gets, of 100.
    a = {"art": [RIGHT] * 10 + [MISSED] * 10 + [RIGHT] * 80}
    b = {"art": [MISSED] * 10 + [RIGHT] * 10 + [RIGHT] * 80}
    entry = compare(a, b)["per_domain"]["art"]
    assert entry["difference"] == 0.0
    assert entry["interval"][0] < -0.02 < 0.02 < entry["interval"][1]
    assert entry["p"] > 0.9


def test_p_is_that_of_the_sign_test():
    # A is better by one entity in 8 docs and worse in 2; the other 990 say nothing. In resamples
    # the difference is nearly a sum of 10 Poisson steps: mean 6, variance 10.
    a = {"art": [RIGHT] * 8 + [MISSED] * 2 + [RIGHT] * 990}
    b = {"art": [MISSED] * 8 + [RIGHT] * 2 + [RIGHT] * 990}
    assert compare(a, b)["per_domain"]["art"]["p"] == pytest.approx(0.07, abs=0.02)


def test_docs_are_paired():
    # Both miss half of the docs, the same ones: F varies, the difference does not.
    a = {"art": [[2, 0, 0], [1, 0, 1]] * 20}
    report = compare(a, {"art": [[2, 0, 0], [0, 0, 2]] * 20}, n_resamples=500)
    paired = report["per_domain"]["art"]["interval"]
    assert paired[1] - paired[0] < 0.2
    assert compare(a, a, n_resamples=500)["per_domain"]["art"]["interval"] == [0.0, 0.0]


def test_the_seed_decides():
    one, again, two = (compare(GOOD, POOR, seed=s, n_resamples=200) for s in (1, 1, 2))
    assert one == again != two


def test_nothing_annotated_and_nothing_found_is_no_part_of_the_macro():
    nothing = {"game": [[0, 0, 0]] * 3}
    report = compare({**GOOD, **nothing}, {**POOR, **nothing}, n_resamples=50)
    empty = {"a": None, "b": None, "difference": None, "interval": None, "p": None}
    assert report["per_domain"]["game"] == empty
    assert report["macro"]["all"]["a"] == pytest.approx((1 + 12 / 14) / 2)


def test_own_groups():
    report = compare(GOOD, POOR, groups={"two": ["news", "art"], "none": ["x"]}, n_resamples=50)
    assert list(report["macro"]) == ["two", "all"]
    assert report["macro"]["two"] == report["macro"]["all"]


def test_domains_of_one_system_only():
    report = compare({**GOOD, "fun": [RIGHT]}, {**POOR, "tweet": [RIGHT]}, n_resamples=10)
    assert list(report["per_domain"]) == ["art", "news"]
    assert (report["only_a"], report["only_b"]) == (["fun"], ["tweet"])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"art": [RIGHT]}, "docs of art are not the same: 2 with 2 entities, 1 with 1"),
        ({"art": [RIGHT, [0, 1, 0]]}, "docs of art are not the same"),
        ({"fun": [RIGHT]}, "No domain in common: art against fun"),
    ],
)
def test_other_docs(other, message):
    with pytest.raises(ConfigError, match=message):
        compare({"art": [RIGHT, MISSED]}, other)


# Counts of a corpus


VOCAB = Vocab()


def gold(tags, domain):
    doc = Doc(VOCAB, words=["تبریز"] * len(tags), ents=tags)
    doc._.domain = domain
    return doc


def part():
    """Three docs of art, with 0, 1 and 2 entities, and one of news."""
    tags = [["O", "O"], ["B-LOC", "O"], ["B-LOC", "B-ORG"]]
    return [gold(tags[1], "news"), *(gold(own, "art") for own in tags)]


def test_counts_are_in_the_order_of_the_part():
    docs = part()
    for seed in range(4):
        references = [doc for group in make_groups(docs, 8, seed=seed) for doc in group]
        examples = [Example(gold(["B-LOC", "O"], None), doc) for doc in references]
        counts = count_docs(examples, docs)
        assert counts == {"art": [[0, 1, 0], [1, 0, 0], [1, 0, 1]], "news": [[1, 0, 0]]}
        assert list(counts) == ["art", "news"]
    assert count_docs(examples[1:2], docs).keys() == {"art"}
    assert count_docs([], docs) == {}


def test_macro_by_head():
    docs = part()
    found = [["B-LOC", "O"], ["O", "O"], ["B-LOC", "O"], ["O", "O"]]
    examples = [Example(gold(tags, None), doc) for tags, doc in zip(found, docs, strict=True)]
    groups = {"social": ["art", "fun"], "both": ["news", "art"], "none": ["fun"]}
    report = score_entities(examples, groups=groups)
    assert list(report["macro_by_head"]) == ["social", "both"]
    art = report["per_domain"]["art"]
    assert report["macro_by_head"]["social"] == {"f": art["f"], "f_interval": art["f_interval"]}
    assert report["macro_by_head"]["social"]["f"] == pytest.approx(0.5)  # 1 right, 2 missed
    assert report["macro_by_head"]["both"] == report["macro"]
    assert "macro_by_head" not in score_entities(examples)
    plain = score_entities(examples)
    assert {key: report[key] for key in plain} == plain


def test_counts_take_one_line_per_domain(tmp_path):
    report = {"doc_counts": {"given": {"news": [[1, 0, 0], [0, 2, 1]], "x": []}}, "f": [0.5, None]}
    save(report, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf8") == (
        '{\n "doc_counts": {\n  "given": {\n   "news": [[1,0,0],[0,2,1]],\n   "x": []\n  }\n },\n'
        ' "f": [\n  0.5,\n  null\n ]\n}\n'
    )
    plain = {"f": [0.25, None], "names": ["تبریز"], "n": {}, "ok": True}
    save(plain, tmp_path / "b.json")
    expected = json.dumps(plain, ensure_ascii=False, indent=1)
    assert (tmp_path / "b.json").read_text(encoding="utf8") == f"{expected}\n"


# The command


@pytest.fixture
def reports(tmp_path):
    """Two reports; the first one has two modes."""
    header = build_header(
        "scripts.build.evaluate",
        part(),
        corpus=tmp_path / "toy",
        split="test",
        seed=3,
        limit_groups=0,
    )
    paths = tmp_path / "a.json", tmp_path / "b.json"
    save({**header, "doc_counts": {"given": GOOD, "detected": POOR}}, paths[0])
    save({**header, "doc_counts": {"single": POOR}}, paths[1])
    return paths


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_command(reports, tmp_path):
    path = tmp_path / "out.json"
    args = (f"{reports[0]}:given", reports[1], "--metrics", path, "--resamples", 100, "--seed", 5)
    result = run(*args)
    assert result.exit_code == 0, result.output
    for word in ("macro, social (1)", "macro, all (2)", "+33.3", "A - B"):
        assert word in result.output
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert (report["corpus"], report["split"], report["seed"]) == ("toy", "test", 5)
    assert report["domains"]["art"] == {"docs": 8, "entities": 8}
    assert (report["a"]["source"], report["a"]["mode"]) == ("a.json:given", "given")
    assert (report["b"]["source"], report["b"]["mode"]) == ("b.json", "single")
    assert report["a"]["seed"] == 3
    assert report["n_resamples"] == 100
    assert report["per_domain"]["news"]["difference"] == pytest.approx(1 / 3, abs=1e-4)


def test_a_file_without_mode(reports):
    counts, report = read_counts(str(reports[1]))
    assert (counts["news"], report["mode"]) == (POOR["news"], "single")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.json", "has no mode '': add :MODE, one of given, detected"),
        ("a.json:x", "has no mode 'x': add :MODE, one of given, detected"),
        ("no.json:x", "found no such file"),
        ("no.json", "found no such file"),
        ("old.json", "has no counts of docs"),
    ],
)
def test_reports_that_cannot_be_read(reports, tmp_path, source, message):
    save({"given": {}}, tmp_path / "old.json")
    result = run(tmp_path / source, reports[1], "--metrics", tmp_path / "out.json")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out.json").exists()


def test_what_is_left_out_is_printed():
    console = Console(record=True, width=100)
    report = compare({**GOOD, "fun": [RIGHT]}, POOR, n_resamples=10)
    print_comparison(report, console)
