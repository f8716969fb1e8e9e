"""The shipped pipeline on texts as users have them: what white space, marks, HTML and colloquial
spelling may not change. Literal.
"""

import pytest
from spacy.language import Language
from spacy.util import load_config, load_model_from_config

from tests.test_shipped import NAMES, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nlp() -> Language:
    """The shipped adapters on the embedded core."""
    core, adapters = ROOT / "assets" / "core", ROOT / "assets" / "adapters"
    if not core.is_dir():
        pytest.skip("needs assets/core: spacy project run core")
    paths = {"core": core, "detector": adapters / "detector", "adapters": adapters / "domains"}
    overrides = {f"paths.{name}": str(path) for name, path in paths.items()}
    config = load_config(ROOT / "configs" / "pretrained.cfg", overrides=overrides)
    config["components"]["transformer"]["precision"] = "fp32"
    nlp = load_model_from_config(config, auto_fill=True)
    nlp.initialize()
    return nlp


def ents(nlp: Language, text: str, domain: str) -> list[tuple[str, str]]:
    ((doc, _),) = nlp.pipe([(text, {"domain": domain})], as_tuples=True)
    assert doc.text == text
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.mark.parametrize("domain", sorted(NAMES))
def test_the_issue_s_texts_in_every_domain(nlp, domain):
    for space in (
        "  ",
        "\u00a0",
        "\t",
        "\n",
        "\u2009",
        "\r\n",
        " \u200f",
        "\u200e ",
        "\u200b ",
        "\ufeff ",
    ):
        assert ents(nlp, f"علی{space}کریمی آمد", domain) == [(f"علی{space}کریمی", "PER")]
    assert ents(nlp, "علی \u00adکریمی آمد", domain) == [("علی \u00adکریمی", "PER")]
    assert ents(nlp, "علی&nbsp;کریمی آمد", domain) == [("علی&nbsp;کریمی", "PER")]
    for lines in ("\n", "\r\n", "\n\n", " \n "):
        found = ents(nlp, f"علی کریمی{lines}رضا عطاران", domain)
        assert found == [("علی کریمی", "PER"), ("رضا عطاران", "PER")]
    found = ents(nlp, "از شیراز\u200c به اصفهان\u200c", domain)
    assert [text for text, _ in found] == ["شیراز", "اصفهان"]
    found = ents(nlp, "بانک ملت &amp; بانک ملی", domain)
    assert [text for text, _ in found] == ["بانک ملت", "بانک ملی"]
    found = ents(nlp, "می&zwnj;گویند علی&zwnj;رضا", domain)
    assert [text for text, _ in found] in ([], ["علی&zwnj;رضا"])
    assert [text for text, _ in ents(nlp, "&#1593;&#1604;&#1740; کریمی آمد", domain)] == [
        "&#1593;&#1604;&#1740; کریمی"
    ]


@pytest.mark.parametrize("space", ["\u00a0", "\n", "\t", "&nbsp;"])
@pytest.mark.parametrize("domain", sorted(NAMES))
def test_a_place_of_learning(nlp, domain, space):
    """Whatever a single space gives."""
    plain = ents(nlp, "دانشگاه تهران", domain)
    found = ents(nlp, f"دانشگاه{space}تهران", domain)
    assert [(text.replace(space, " "), label) for text, label in found] == plain
    assert len(plain) == 1


@pytest.mark.parametrize(
    "text, expected",
    [
        ("پرسپولیسی\u200cها", ["پرسپولیسی\u200cها"]),
        ("پرسپولیسی ها", ["پرسپولیسی"]),
        ("تهرانو دوست دارم", ["تهرانو"]),
        ("تهران رو دوست دارم", ["تهران"]),
        ("به\u200cتهران رفتم", ["تهران"]),
        ("از تهران/اصفهان رفتم", ["تهران", "اصفهان"]),
        ("تهران/اصفهان", ["تهران", "اصفهان"]),
        ("ترافیک #تهران شلوغ است", ["تهران"]),
        ("امروز رفتم #بانک_ملی", ["بانک_ملی"]),
    ],
)
def test_attached_forms_in_tweets(nlp, text, expected):
    """As ParsTwiNER has them, see `text/tokenizer.py`."""
    assert [found for found, _ in ents(nlp, text, "tweet")] == expected


def test_the_sign_of_a_hashtag_belongs_to_the_entity_in_channels(nlp):
    """As ParsNER-social has it, in 1,015 tokens."""
    assert ents(nlp, "ترافیک #تهران شلوغ است", "sports") == [("#تهران", "LOC")]
