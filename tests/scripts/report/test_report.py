"""The report: tables, plots and sentences from JSON files written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.report import claims, detection, draw, settings, systems, words
from scripts.report.__main__ import build_sections, write_report
from scripts.report.data import Metrics, f1, points
from scripts.report.page import Figure, Missing, Section, Table, render

ORIGIN = {"command": "python -m x", "commit": "abc", "seed": 0, "split": "test"}


def score(f: float, width: float = 0.1, **more: Any) -> dict[str, Any]:
    return {"f": f, "f_interval": [f - width, f + width], **more}


def entities(tweet: float, art: float) -> dict[str, Any]:
    counts = {"n_docs": 3, "n_entities": 5}
    return {
        "micro": score(tweet, **counts),
        "macro": score((tweet + art) / 2),
        "macro_by_head": {"formal": score(tweet), "social": score(art)},
        "per_domain": {"tweet": score(tweet, **counts), "art": score(art, **counts)},
    }


def entry(a: float, b: float, low: float, high: float, p: float) -> dict[str, Any]:
    return {"a": a, "b": b, "difference": a - b, "interval": [low, high], "p": p}


def write(folder: Path, name: str, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**ORIGIN, **report})
    (folder / f"{name}.json").write_text(text, encoding="utf8")


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path / "metrics" / "toy")


def parts(sections: Section | list[Section], kind: type) -> list[Any]:
    found = sections if isinstance(sections, list) else [sections]
    return [part for section in found for part in section.parts if isinstance(part, kind)]


def table(sections: Section | list[Section], title: str) -> Table:
    (found,) = [t for t in parts(sections, Table) if title in t.title]
    return found


# Numbers and letters


def test_persian_is_shaped_and_set_right_to_left() -> None:
    # lam and alef are one letter; what is read last stands first
    assert persian_codes("سلام") == [0xFEE1, 0xFEFC, 0xFEB3]
    assert persian_codes("گچ") == [0xFB7B, 0xFB94]


def test_a_zwnj_cuts_letters_and_is_not_drawn() -> None:
    # the yeh in front of it has its final form, as at the end of a word
    assert persian_codes("می‌رود") == [0xFEA9, 0xFEED, 0xFEAD, 0xFBFD, 0xFEE3]


def test_digits_stay_in_order() -> None:
    assert draw.persian("۱۲") == "۱۲"


def persian_codes(text: str) -> list[int]:
    return [ord(letter) for letter in draw.persian(text)]


def test_numbers_as_text() -> None:
    assert f1(score(0.71342, 0.05)) == "71.3 (66.3–76.3)"
    assert f1({"f": 0.5, "f_interval": None}) == "50.0"
    assert f1({"f": None, "f_interval": None}) == f1(None) == "–"
    assert (points(0.0131), points(-0.004), points(None)) == ("+1.3", "−0.4", "–")


# Sections


def test_nothing_measured_names_the_commands(tmp_path: Path) -> None:
    sections = build_sections(tmp_path, "toy", tmp_path / "out")
    commands = [part.command for part in parts(sections, Missing)]
    assert "python -m spacy project run sizes" in commands
    assert [t.title for t in parts(sections, Table)] == ["Published F1"]
    assert not parts(sections, Figure)


def test_systems_side_by_side(metrics: Metrics, tmp_path: Path) -> None:
    write(metrics.folder, "pretrained", {m: entities(0.7, 0.6) for m in ("given", "detected")})
    write(metrics.folder, "crf", {"single": entities(0.5, 0.65)})
    sections = systems.section(metrics, tmp_path / "out")
    own = table(sections, "Tables 1 and 3")
    assert own.columns == [
        "domain",
        "texts / entities",
        "CRF",
        "shipped (with dev), domain given",
        "shipped, detected",
    ]
    assert own.rows[0] == ["tweet", "3 / 5", "50.0 (40.0–60.0)", *["70.0 (60.0–80.0)"] * 2]
    assert own.rows[2][:3] == ["macro of the ten channels", "", "65.0 (55.0–75.0)"]
    assert own.sources == ["`python -m x`, commit abc, seed 0, test"]
    missing = [part.what for part in parts(sections, Missing)]
    assert "general (general.json)" in missing
    assert "CRF (crf.json)" not in missing
    assert (tmp_path / "out" / "domains.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (tmp_path / "out" / "domains.svg").read_text(encoding="utf8")


def test_comparisons_name_the_channels_that_differ(metrics: Metrics, tmp_path: Path) -> None:
    art, fun = entry(0.5, 0.6, -0.2, -0.01, 0.01), entry(0.6, 0.5, -0.1, 0.3, 0.4)
    both = entry(0.55, 0.55, -0.1, 0.1, 0.9)
    report = {
        "per_domain": {"art": art, "fun": fun},
        "macro": {"social": both},
        "a": {"source": "metrics/x/pretrained.json:given", "mode": "given"},
        "b": {"source": "metrics/x/crf.json", "mode": "single"},
    }
    write(metrics.folder, "compare_lora_crf", report)
    own = table(systems.section(metrics, tmp_path), "paired bootstrap")
    assert own.rows == [
        [
            "pretrained (given) − crf (single)",
            "macro, social",
            "55.0",
            "55.0",
            "+0.0",
            "−10.0 to +10.0",
            "0.9000",
            "art −10.0",
        ]
    ]


def test_folds_have_the_honest_first_one_first(metrics: Metrics, tmp_path: Path) -> None:
    for name, f, mode in (("leak_honest", 0.7, "single"), ("fold2", 0.8, "given")):
        report = {mode: entities(f, 0.6)}
        report[mode]["per_domain"]["news"] = score(f, n_docs=3, n_entities=5)
        write(metrics.folder, name, report)
    own = table(systems.section(metrics, tmp_path), "by fold")
    assert [row[0] for row in own.rows] == ["fold1 (leak_honest)", "fold2", "mean"]
    assert own.rows[2][1] == "75.0"


def test_seeds_have_a_mean_and_a_spread(metrics: Metrics, tmp_path: Path) -> None:
    for name, f in (("seed0", 0.7), ("seed1", 0.72), ("seed2", 0.74)):
        write(metrics.folder, name, {"given": entities(f, 0.6), "detected": entities(f, 0.6)})
    own = table(systems.section(metrics, tmp_path), "several seeds")
    assert own.rows[0] == ["tweet", "70.0", "72.0", "74.0", "72.0", "2.0"]
    assert own.rows[-1][-1] == "0.0"


def test_seeds_have_the_domains_that_all_of_them_were_scored_on(
    metrics: Metrics, tmp_path: Path
) -> None:
    for name, domains in (("seed0", ("art", "tweet")), ("seed1", ("art",))):
        own = entities(0.7, 0.6)
        own["per_domain"] = {d: score(0.7, n_docs=3, n_entities=5) for d in domains}
        write(metrics.folder, name, {"single": own})
    rows = table(systems.section(metrics, tmp_path), "several seeds").rows
    assert [row[0] for row in rows] == ["art", "macro of the ten channels"]


def test_plots_do_not_change_from_run_to_run(metrics: Metrics, tmp_path: Path) -> None:
    write(metrics.folder, "crf", {"single": entities(0.5, 0.65)})
    for out in ("a", "b"):
        systems.section(metrics, tmp_path / out)
    for name in ("domains.png", "domains.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def detector(accuracy: float, answer: str = "tweet") -> dict[str, Any]:
    own = {"accuracy": accuracy, "macro_accuracy": accuracy - 0.1}
    confusion = {"news": {"news": 3, answer: 1}, "tweet": {"tweet": 4}}
    how = {**dict.fromkeys(("1", "2", "4", "8"), own), "confusion": confusion}
    return {"raw": how, "masked": how}


def test_detection(metrics: Metrics, tmp_path: Path) -> None:
    report = {"given": entities(0.7, 0.6), "detector": detector(0.9)}
    write(metrics.folder, "pretrained", report)
    write(metrics.folder, "baseline", {"tfidf": detector(0.8, answer="art")})
    own = table(detection.section(metrics, tmp_path), "Twelve domains")
    assert own.rows[0] == ["ours", "raw", *["90.0 (80.0)"] * 4, "–", "87.5"]
    # another channel for news is an error, but not formal for informal
    assert own.rows[2] == ["tf-idf", "raw", *["80.0 (70.0)"] * 4, "–", "100.0"]
    assert (tmp_path / "confusion_raw.svg").exists()


def test_figure_4_has_a_cell_for_each_domain(metrics: Metrics, tmp_path: Path) -> None:
    sentence = {"word": "ایران", "text": "ایران برد.", "labels": {"news": "O", "sports": "ORG"}}
    outcome = {"mentions": 4, "dominant": 3, "right": 2, "other": 1, "missed": 1}
    report = {
        "own": {
            "sentences": [sentence],
            "labels": {"news": {"O": 1}, "sports": {"ORG": 1}},
            "divided": 1,
        },
        "gold": {"names": 2, "all": outcome, "per_domain": {"news": outcome}},
    }
    write(metrics.folder, "ambiguity", report)
    sections = words.section(metrics, Metrics(tmp_path), tmp_path)
    assert table(sections, "each domain says").rows == [["news", "1", ""], ["sports", "", "1"]]
    assert table(sections, "2 names").rows[1] == ["all", "4", "3", "2", "1", "1"]
    assert (tmp_path / "ambiguity.png").exists()


def test_masked_names_before_and_after(metrics: Metrics, tmp_path: Path) -> None:
    change = {
        "per_domain": {"tweet": entry(0.5, 0.7, -0.3, -0.1, 0.01)},
        "macro": {"all": entry(0.4, 0.6, -0.3, -0.1, 0.01)},
    }
    after = {"per_domain": {"tweet": score(0.5)}}
    report = {"before": entities(0.7, 0.6), "after": after, "difference": change}
    write(metrics.folder, "masked_names", report)
    own = table(words.section(metrics, Metrics(tmp_path), tmp_path), "Masked names")
    assert own.rows == [
        ["shipped", "tweet", "70.0 (60.0–80.0)", "50.0 (40.0–60.0)", "−20.0 (−30.0 to −10.0)"],
        ["shipped", "macro, all", "60.0", "40.0", "−20.0 (−30.0 to −10.0)"],
    ]


# What contradicts the paper


def comparison(low: float, high: float) -> dict[str, Any]:
    own = entry(0.7, 0.65, low, high, 0.5)
    return {"per_domain": {"tweet": own}, "macro": {"social": own, "all": own}}


@pytest.mark.parametrize(
    "low, high, verdict", [(0.01, 0.09, "contradicts"), (-0.1, -0.01, "agrees"), (-1, 1, "open")]
)
def test_a_verdict_needs_an_interval_without_zero(
    metrics: Metrics, low: float, high: float, verdict: str
) -> None:
    write(metrics.folder, "compare_lora_prefix", comparison(low, high))
    (claim,) = claims.claims(metrics)
    assert claim.verdict == verdict
    assert "LoRA minus prefix" in claim.ours


def test_single_runs_are_open(metrics: Metrics) -> None:
    for kind, best in (("lora", 0.9), ("prefix", 0.1)):
        write(metrics.folder, f"parstwiner_{kind}", {"best_dev_score": best})
    (claim,) = claims.claims(metrics)
    assert claim.verdict == "open"
    assert "LoRA has 90.0, the prefix 10.0" in claim.ours


def test_a_domain_below_the_crf_is_named(metrics: Metrics) -> None:
    report = {
        "per_domain": {
            "art": entry(0.5, 0.6, -0.15, -0.05, 0.01),
            "fun": entry(0.8, 0.6, 0.1, 0.3, 0.01),
        }
    }
    write(metrics.folder, "compare_lora_crf", report)
    (claim,) = claims.claims(metrics)
    assert claim.verdict == "contradicts"
    assert claim.ours.endswith("shapes: art (50.0 to 60.0, p 0.010).")


def test_step_two_that_does_nothing_is_said(metrics: Metrics) -> None:
    for domain, best in (("art", 0.7), ("fun", 0.6)):
        run = {"domains": [domain], "best_dev_score": best, "dev": [{"score": 0.6}]}
        write(metrics.folder, f"domains_{domain}", run)
    (claim,) = claims.claims(metrics)
    assert "+5.0 points" in claim.ours
    assert "It did nothing for fun." in claim.ours


def test_contradictions_come_first(metrics: Metrics) -> None:
    write(metrics.folder, "compare_lora_prefix", comparison(-1, 1))
    leak = {"same_tokens": 1.0}
    fold = {"same_tokens": 0.002}
    write(metrics.folder, "arman_leak", {"joined": leak, "folds": {"1": fold}})
    own = table(claims.section(metrics), "Claims")
    assert [row[-1] for row in own.rows] == ["contradicts", "open"]
    assert "100.0 %" in own.rows[0][1]


# The page


def test_a_page_names_its_sources_and_escapes(tmp_path: Path) -> None:
    own = Table("<b>", ["a", "b"], [["x", "سلام"]], ["`python -m x`, commit abc"], persian=[1])
    page = render("title", [Section("s", [own, Missing("speed", "run it")])])
    assert "&lt;b&gt;" in page
    assert "<code>python -m x</code>, commit abc." in page
    assert '<td class="fa" lang="fa" dir="rtl">سلام</td>' in page
    assert "Not measured yet: speed. <code>run it</code> measures it." in page


def test_old_plots_go(tmp_path: Path, metrics: Metrics) -> None:
    write(metrics.folder, "crf", {"single": entities(0.5, 0.65)})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.png").write_bytes(b"")
    write_report(metrics.folder.parent, "toy", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["domains.png", "domains.svg", "index.html"]
    assert settings.section(metrics, metrics, tmp_path / "out")[0].title == "Table 2: sizes"
