"""The sentences, names and labels of the sample corpus, and the oracle."""

import re
from collections import Counter
from random import Random

import pytest

from scripts.corpora.sampling.gazetteers import build_gazetteer, clean_name
from scripts.corpora.sampling.render import SLOT, Draft, Filler, Text, part_of, render
from scripts.corpora.sampling.tables import (
    AMBIGUOUS,
    FIXED,
    NEUTRAL,
    PROFILES,
    TEMPLATES,
    VOCABULARY,
    label_of,
)
from scripts.domains import DOMAINS, HEADS, LABELS
from tests.scripts.corpora.oracle import ambiguous_share, score_oracle


@pytest.mark.parametrize("head", HEADS)
def test_templates(head: str) -> None:
    module = TEMPLATES[head]
    assert set(module.own) == set(HEADS[head])
    own = [template for templates in module.own.values() for template in templates]
    every = [*own, *module.common, *module.shared]
    assert len(every) == len(set(every)) >= 40
    gazetteer = build_gazetteer(0)
    for template in [*own, *module.common]:
        slots = SLOT.findall(template)
        names = [slot for slot in slots if slot in gazetteer.known]
        assert names, template
        assert set(slots) <= set(gazetteer.known) | set(VOCABULARY), template
        assert all(template.count(f"{{{slot}}}") <= 1 or slot == "few" for slot in slots)
    for template in module.common:
        assert not set(SLOT.findall(template)) & set(AMBIGUOUS)
    for template, classes in module.shared.items():
        assert set(SLOT.findall(template)) <= {"x", "y"}
        assert all(len({label_of(c, d) for d in HEADS[head]}) > 1 for c in classes)


def test_every_class_is_used_and_has_one_label_per_domain() -> None:
    gazetteer = build_gazetteer(0)
    fixed = {name for classes in FIXED.values() for name in classes}
    assert set(gazetteer.known) == fixed | set(AMBIGUOUS)
    for head, module in TEMPLATES.items():
        text = " ".join(t for templates in module.own.values() for t in templates)
        used = set(SLOT.findall(text)) - set(VOCABULARY)
        used |= {name for classes in module.shared.values() for name in classes}
        assert set(FIXED[head]) <= used
        assert set(FIXED[head].values()) <= set(LABELS[head])
        for name in used & set(AMBIGUOUS):
            labels = {AMBIGUOUS[name][domain] for domain in HEADS[head]}
            assert labels <= {*LABELS[head], "O"}
    o_classes = {n for n, row in AMBIGUOUS.items() if "O" in row.values() and len(row) > 1}
    assert len(o_classes) >= 3


def test_words_around_the_slots_are_no_names() -> None:
    gazetteer = build_gazetteer(0)
    for domain in DOMAINS:
        module = TEMPLATES[DOMAINS[domain].head]
        templates = [*module.own[domain], *module.common, *module.shared]
        classes = set(SLOT.findall(" ".join([*module.own[domain], *module.common])))
        classes |= {name for row in module.shared.values() for name in row}
        names = {
            surface
            for name in classes & set(gazetteer.known)
            if label_of(name, domain) != "O"
            for surface in (gazetteer.known[name] + gazetteer.held[name])
        }
        words = {w for t in templates for w in re.sub(r"[(|)]|\{\w+\}", " ", t).split()}
        assert not names & (words | set(PROFILES[domain].topics)), domain


def test_ambiguous_names_belong_to_one_class() -> None:
    gazetteer = build_gazetteer(3)
    for head, domains in HEADS.items():
        classes = [n for n, row in AMBIGUOUS.items() if set(domains) & set(row)]
        count = Counter(
            s
            for name in [*classes, *FIXED[head]]
            for s in (gazetteer.known[name] + gazetteer.held[name])
        )
        owned = {s for name in classes for s in (gazetteer.known[name] + gazetteer.held[name])}
        assert [s for s in owned if count[s] > 1] == []


def test_names_from_faker() -> None:
    gazetteer = build_gazetteer(0)
    for name, n in {
        "person": 150,
        "company": 40,
        "bank": 8,
        "province": 20,
        "village": 15,
    }.items():
        surfaces = gazetteer.known[name] + gazetteer.held[name]
        assert len(surfaces) == len(set(surfaces)) >= n
        assert all(clean_name(surface) == surface for surface in surfaces)
    people = gazetteer.known["person"] + gazetteer.held["person"]
    assert all(2 <= len(name.split()) for name in people)
    assert gazetteer == build_gazetteer(0)
    assert gazetteer.known["person"] != build_gazetteer(1).known["person"]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("سيمان\xa0 ساوه", "سیمان ساوه"),
        ("بانک ملّی ", "بانک ملی"),
        ("كيانا", "کیانا"),
        ("کشت و صنعت ( گرگان )", ""),
        ("راهسازی 115", ""),
    ],
)
def test_clean_name(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_part_of_is_stable_and_in_proportion() -> None:
    drafts = [Draft("{x} خوب است .", (("city", f"شهر {i}"),)) for i in range(4000)]
    counts = Counter(part_of(0, draft) for draft in drafts)
    assert [part_of(0, d) for d in drafts[:50]] == [part_of(0, d) for d in drafts[:50]]
    assert [part_of(0, d) for d in drafts[:50]] != [part_of(1, d) for d in drafts[:50]]
    assert counts["train"] / 4000 == pytest.approx(1 / 1.57, abs=0.03)
    assert counts["dev"] / 4000 == pytest.approx(0.19 / 1.57, abs=0.03)


def test_render() -> None:
    gazetteer = build_gazetteer(0)
    draft = Draft(
        "{country} و {city} : {few} - {few} ، (خب|خب) .",
        (("country", "کره جنوبی"), ("city", "تبریز")),
    )
    fillers, tokens = render(draft, "sports", gazetteer, Random(0))
    assert fillers == (Filler("country", "کره جنوبی", "ORG"), Filler("city", "تبریز", "ORG"))
    assert [t.tag for t in tokens] == ["B-ORG", "I-ORG", "O", "B-ORG", *["O"] * 7]
    assert [t.slot for t in tokens] == [0, 0, -1, 1, *[-1] * 7]
    text = "".join(t.text + " " * t.space for t in tokens)
    assert re.fullmatch(r"کره جنوبی و تبریز: [۲-۹] - [۲-۹]، خب\.", text)
    assert [t.tag for t in render(draft, "travel", gazetteer, Random(0))[1]][3] == "B-LOC"


def test_oracle_by_hand() -> None:
    def text(domain: str, kind: str, label: str) -> Text:
        filler = Filler("title", "قهرمان", label)
        return Text(domain, f"{domain}/1", kind, "{x} خوب بود", (filler,), ())

    texts = [
        text("art", "shared", "MISC"),
        text("game", "shared", "MISC"),
        text("sports", "shared", "O"),
        text("art", "own", "MISC"),
    ]
    # It says MISC four times: three right, one entity too many.
    score = score_oracle(texts)
    assert (score["p"], score["r"]) == (3 / 4, 1)
    assert score["f"] == pytest.approx(6 / 7)
    assert ambiguous_share(texts) == pytest.approx(2 / 3)
    # A second sentence about the same class: by class the majority is now "O".
    texts += [
        Text("sports", "sports/1", "shared", "باز هم {x}", t.fillers, ()) for t in [texts[2]] * 3
    ]
    assert score_oracle(texts)["r"] == 1
    assert score_oracle(texts, counts_by="prior")["r"] == 1 / 3


def test_neutral_sentences_are_equally_noisy_in_all_domains() -> None:
    assert set(NEUTRAL) == set(HEADS)
    assert set(PROFILES) == set(DOMAINS)
    assert all(not profile.topics for profile in NEUTRAL.values())
