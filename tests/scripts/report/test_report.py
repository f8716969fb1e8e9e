"""The report: tables and plots from JSON files written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.document import documented
from scripts.report.__main__ import write_report
from scripts.report.draw import draw_all, persian
from scripts.report.render import PARTS, filled, page, part, verdict
from scripts.report.tables import TABLES, Metrics, Table, f1, points, span

ORIGIN = {"command": "python -m x", "commit": "abc", "seed": 0, "split": "test"}
ROOT = Path(__file__).resolve().parents[3]


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


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path / "metrics")


def write(metrics: Metrics, name: str, report: dict[str, Any], corpus: str = "persian") -> None:
    path = metrics.folder / corpus / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**ORIGIN, **report}), encoding="utf8")


def rows(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [list(map(str, row)) for row in table.frame.to_numpy()]


# Texts of no corpus


def test_outside_stands_by_size_and_style(metrics):
    own = {
        "n_right": 30, "n_groups": 36, "accuracy": 30 / 36, "calibration_error": 0.0612,
        "right_by_style": {"mixed": 9, "plain": 12}, "confusion": {"art": {"art": 2, "fun": 1}},
    }  # fmt: skip
    detector = {"outside": {"8": own}, "corpora": {"8": {"accuracy": 0.99}}}
    write(metrics, "detection", {"detectors": {"mixture": detector}})
    assert rows(TABLES["outside_domains"](metrics)) == [
        ["shipped", "8", "30 of 36", "83.3", "9", "12", "0.061", "99.0"]
    ]


def test_names_outside_and_what_goes_wrong(metrics):
    scores = {
        "micro": score(0.7), "per_type": {"PER": score(0.8)}, "per_style": {}, "per_domain": {},
    }  # fmt: skip
    error = {"domain": "art", "style": "mixed", "text": "علی در قم", "missed": [["قم", "LOC"]]}
    row = {**ORIGIN, "what": "shared", "given": scores, "errors": [{**error, "wrong": []}]}
    write(metrics, "outside", {"rows": {"shipped": {**row, "detected": scores}, "tried": row}})
    f = ["70.0 (60.0-80.0)", "80.0 (70.0-90.0)"]
    assert rows(TABLES["outside_names"](metrics)) == [["all", f[0], f[0]], ["PER", f[1], f[1]]]
    assert rows(TABLES["outside_tries"](metrics)) == [["shared", f[0], f[0]], ["shared", f[0], ""]]
    assert rows(TABLES["outside_errors"](metrics)) == [["art, mixed", "علی در قم", "قم LOC", ""]]
    assert TABLES["outside_names"](Metrics(metrics.folder / "none")) is None


# Numbers and letters


@pytest.mark.parametrize(
    "text, codes",
    [
        ("سلام", [0xFEE1, 0xFEFC, 0xFEB3]),  # lam and alef are one; what is read last comes first
        ("گچ", [0xFB7B, 0xFB94]),
        ("می‌رود", [0xFEA9, 0xFEED, 0xFEAD, 0xFBFD, 0xFEE3]),  # ZWNJ: the final form of yeh
        ("۱۲", [0x6F1, 0x6F2]),
    ],
)
def test_persian_is_shaped_and_set_right_to_left(text: str, codes: list[int]) -> None:
    assert [ord(letter) for letter in persian(text)] == codes


def test_numbers_as_text() -> None:
    assert f1(score(0.71342, 0.05)) == "71.3 (66.3-76.3)"
    assert f1({"f": 0.5, "f_interval": None}) == "50.0"
    assert f1({"f": None, "f_interval": None}) == f1(None) == "–"
    assert (points(0.0131), points(-0.004), points(None)) == ("+1.3", "−0.4", "–")
    assert span(entry(0, 0, -0.1, 0.2, 1)) == "−10.0 to +20.0"


@pytest.mark.parametrize(
    "low, high, said", [(0.01, 0.09, "agrees"), (-0.1, -0.01, "contradicts"), (-1, 1, "open")]
)
def test_a_verdict_needs_an_interval_without_zero(low: float, high: float, said: str) -> None:
    assert verdict(entry(0.7, 0.6, low, high, 0.5), 1) == said


# Tables


def test_what_is_not_measured_has_no_table(metrics: Metrics) -> None:
    assert [name for name, make in TABLES.items() if make(metrics) is not None] == []


def test_systems_side_by_side(metrics: Metrics) -> None:
    write(metrics, "pretrained", {m: entities(0.7, 0.6) for m in ("given", "detected")})
    write(metrics, "crf", {"single": entities(0.5, 0.65)})
    table = TABLES["domains"](metrics)
    assert table is not None
    assert list(table.frame.columns) == ["", "shipped", "shipped, detected", "CRF"]
    assert rows(table)[0] == ["tweet", *["70.0 (60.0-80.0)"] * 2, "50.0 (40.0-60.0)"]
    assert rows(table)[2][::3] == ["macro of the ten channels", "65.0 (55.0-75.0)"]
    assert table.sources == ["`python -m x`, commit abc, seed 0, test"]
    assert table.markdown().splitlines()[1] == "| --- | --- | --- | --- |"


def test_a_chatbot_is_not_run_here(metrics: Metrics) -> None:
    write(metrics, "pretrained", {m: entities(0.7, 0.6) for m in ("given", "detected")})
    found = rows(TABLES["chatbot"](metrics))
    assert found == [
        ["adapters, domain given", "70.0 (60.0-80.0)", "70.0 (60.0-80.0)", "60.0 (50.0-70.0)"],
        ["chatbot, zero-shot", "not run here", "", ""],
        ["chatbot, few-shot", "not run here", "", ""],
        ["ChatGPT, as published", "67.8 and 55.7", "", ""],
    ]


def test_a_chatbot_and_what_it_took(metrics: Metrics) -> None:
    write(metrics, "pretrained", {m: entities(0.7, 0.6) for m in ("given", "detected")})
    counts = {"prompt_tokens": 4321, "completion_tokens": 99}
    zero = {
        **entities(0.4, 0.3),
        "counts": counts,
        "failures": {"TimeoutError": 2, "ValueError": 1},
    }
    few = {**entities(0.5, 0.3), "counts": {**counts, "unreadable": 7}, "failures": {}}
    write(metrics, "llm", {"model": "parrot", "zero_shot": zero, "few_shot": few})
    table = TABLES["chatbot"](metrics)
    assert table is not None
    assert list(table.frame.columns)[4:] == ["tokens in", "tokens out", "unreadable", "no answer"]
    assert [[row[0], row[1][:4], *row[4:]] for row in rows(table)[1:3]] == [
        ["parrot, zero-shot", "40.0", "4,321", "99", "0", "3"],
        ["parrot, few-shot", "50.0", "4,321", "99", "7", "0"],
    ]
    systems = TABLES["domains"](metrics)
    assert systems is not None and list(systems.frame.columns)[-1] == "chatbot, few-shot"


def test_a_general_of_other_domains_is_no_comparison(metrics: Metrics) -> None:
    write(metrics, "pretrained", {m: entities(0.7, 0.6) for m in ("given", "detected")})
    other = entities(0.9, 0.9)
    del other["per_domain"]["art"]
    write(metrics, "general", {"single": other})
    names = [row[0] for row in rows(TABLES["entities"](metrics))]
    assert names == ["adapters, domain given", "adapters, detected"]


def test_comparisons_name_the_channels_that_differ(metrics: Metrics) -> None:
    art, fun = entry(0.5, 0.6, -0.2, -0.01, 0.01), entry(0.6, 0.5, -0.1, 0.3, 0.4)
    both = entry(0.55, 0.55, -0.1, 0.1, 0.9)
    report = {"per_domain": {"art": art, "fun": fun}, "macro": {"social": both}}
    write(metrics, "compare_lora_crf", report)
    assert rows(TABLES["comparisons"](metrics)) == [
        ["lora − crf", "macro, social", "55.0", "55.0", "+0.0", "−10.0 to +10.0", "0.9000"]
        + ["art −10.0"]
    ]


def test_seeds_have_a_mean_and_a_spread(metrics: Metrics) -> None:
    for name, f in (("seed0", 0.7), ("seed1", 0.72), ("seed2", 0.74)):
        own = entities(f, 0.6)
        if name == "seed1":  # a domain that not all of them were scored on is left out
            own["per_domain"]["fun"] = score(0.5)
        write(metrics, name, {"given": own})
    found = rows(TABLES["seeds"](metrics))
    assert found[0] == ["tweet", "70.0", "72.0", "74.0", "72.0", "2.0"]
    assert [row[0] for row in found] == ["tweet", "art", "macro of the ten channels"]
    assert found[-1][-1] == "0.0"


def detector(accuracy: float) -> dict[str, Any]:
    own = {"accuracy": accuracy, "macro_accuracy": accuracy - 0.1}
    confusion = {"news": {"news": 3, "tweet": 1}, "tweet": {"tweet": 4}}
    how = {**dict.fromkeys(("1", "2", "4", "8"), own), "confusion": confusion}
    return {"raw": how, "masked": how}


def test_detectors(metrics: Metrics) -> None:
    write(metrics, "pretrained", {"given": entities(0.7, 0.6), "detector": detector(0.9)})
    write(metrics, "baseline", {"tfidf": detector(0.8)})
    write(metrics, "bow", {"detector": detector(0.7)})
    found = rows(TABLES["detection"](metrics))
    assert found[0] == ["adapter on the core", "raw", *["90.0"] * 4, "–"]
    assert [row[:3] for row in found[2::2]] == [
        ["TF-IDF", "raw", "80.0"],
        ["bag of words", "raw", "70.0"],
    ]


def test_masked_names_before_and_after(metrics: Metrics) -> None:
    change = {
        "per_domain": {"tweet": entry(0.5, 0.7, -0.3, -0.1, 0.01)},
        "macro": {"all": entry(0.4, 0.6, -0.3, -0.1, 0.01)},
    }
    write(metrics, "masked_names", {"difference": change})
    assert rows(TABLES["masked"](metrics)) == [
        ["shipped", "tweet", "70.0", "50.0", "−20.0 (−30.0 to −10.0)"],
        ["shipped", "macro of all", "60.0", "40.0", "−20.0 (−30.0 to −10.0)"],
    ]


def test_memory(metrics: Metrics) -> None:
    steps = {"import": 1.0, "blank": 0.5, "load": 2.0, "tag": 3.0}
    own = {"seconds": steps, "resident_mb": steps, "peak_mb": 1234.0, "disk_mb": 70.0}
    report = {"memory": {"lora": {"by_domains": {"12": own}, "disk_mb_per_domain": 2.6}}}
    write(metrics, "amd-avx2", {**report, "systems": {}}, corpus="speed")
    assert rows(TABLES["memory"](metrics)) == [
        ["amd-avx2", "lora 12", "1.0 + 0.5 + 2.0", "2", "3", "1,234", "70.0", "2.60"]
    ]


def test_speed_has_columns_for_each_processor(metrics: Metrics) -> None:
    own = {"note": "a pass", "texts_per_second": 50.0, "ratio": 1.5, "ratio_range": [1.0, 2.0]}
    waits = {"p50_ms": 10.0, "p99_ms": 30.0, "texts_per_second": {"1": 20.0, "1000": 70.0}}
    first = {"systems": {"bare": own, "ours": own}, "latency": {"ours": waits}}
    write(metrics, "amd-avx2", first, corpus="speed")
    write(metrics, "intel-amx", {"systems": {"bare": own}}, corpus="speed")
    cells = ["50.0", "1.50 (1.00-2.00)"]
    assert rows(TABLES["speed"](metrics)) == [
        ["bare", "a pass", *cells, *cells],
        ["ours", "a pass", *cells, "", ""],
    ]
    assert rows(TABLES["latency"](metrics)) == [
        ["amd-avx2", "ours", "10.0", "30.0", "20.0", "70.0"]
    ]


# The page, the README


def test_plots_are_the_same_for_the_same_numbers(metrics: Metrics, tmp_path: Path) -> None:
    report = {m: entities(0.7, 0.6) for m in ("given", "detected")}
    write(metrics, "pretrained", {**report, "detector": detector(0.9)})
    names = ["confusion_masked", "confusion_raw", "detection", "domains"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old.png").write_bytes(b"")
    for out in ("a", "b"):
        assert draw_all(metrics, tmp_path / out) == names
    assert sorted({path.stem for path in (tmp_path / "a").iterdir()}) == names
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_page_escapes_and_says_what_is_missing(metrics: Metrics) -> None:
    report = {m: entities(0.7, 0.6) for m in ("given", "detected")}
    write(metrics, "pretrained", {**report, "command": "python -m <x>"})
    found = page(metrics.folder, ["domains"])
    assert "<code>python -m &lt;x&gt;</code>, commit abc, seed 0, test." in found
    assert '<a href="domains.svg">' in found and "sweep_lora" not in found
    assert "<code>python -m spacy project run seeds scripts/experiments</code>" in found


def test_the_kept_metrics_make_the_report_and_the_readme(tmp_path: Path) -> None:
    write_report(ROOT / "metrics", tmp_path)
    found = (tmp_path / "index.html").read_text(encoding="utf8")
    assert "Not measured yet" not in found
    assert found == (ROOT / "reports" / "index.html").read_text(encoding="utf8")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_text_is_brought_up_to_date(name: str) -> None:
    start, end = (f"<!-- {name.upper()} {edge} (do not remove) -->" for edge in ("START", "END"))
    new = part(name, ROOT / "metrics")
    assert filled(f"before\n{start}\nold\n{end}\nafter", ROOT / "metrics") == (
        f"before\n{start}\n\n{new}\n\n{end}\nafter"
    )
    assert new.count("| --- |") >= 1 and "None" not in new


def test_readme_and_docs_are_up_to_date() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        assert documented(ROOT, path) == path.read_text(encoding="utf8"), path


def test_every_file_of_metrics_is_in_its_table_of_contents() -> None:
    contents = (ROOT / "metrics" / "README.md").read_text(encoding="utf8")
    named = set(contents.replace("`", " ").split())
    for path in (ROOT / "metrics").rglob("*.json"):
        name = path.relative_to(ROOT / "metrics").as_posix()
        family = {f"{path.parent.name}/*.json", f"persian/{path.parent.name}/*.json"}
        family |= {f"persian/{path.name.split('_')[0]}_*.json"}
        assert name in named or named & family, name
