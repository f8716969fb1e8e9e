"""Names of domains, heads and labels: what is taken can be saved and found again."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import ConfigError
from multibert_spacy.names import check_description, check_head_name, check_labels, check_name

PIECES = [
    "a",
    "خ",
    "Å",
    "e\u0301",
    "\u212b",
    "\u1100\u1161",
    ".",
    "-",
    "_",
    "/",
    "\\",
    " ",
    "..",
    "\0",
]
NAMES = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.builds(lambda c, n: c * n, st.sampled_from("aخ語𐎀"), st.integers(0, 120)),
    st.sampled_from(["con", "NUL.x", "com1", "aux", "LPT9.txt", "console", "a.", ".x", "_.", "-"]),
)


@settings(max_examples=300)
@given(NAMES)
def test_a_name_that_is_taken_is_found_again(tmp_path_factory, name):
    try:
        check_name(name)
    except ConfigError as e:
        assert "Illegal domain name" in str(e)
        return
    root = tmp_path_factory.getbasetemp() / "found"
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / f".draft-4194304-{'0' * 8}").mkdir(exist_ok=True)
    (root / f"{name}.safetensors.download").touch()
    assert name in {path.name for path in root.iterdir()}
    assert unicodedata.normalize("NFC", name) == name
    assert not name.startswith(".") and not name.endswith(".")


@pytest.mark.parametrize("name", ["خ" * 100, "語" * 66, "a" * 100, "it_news", "é", "9.9"])
def test_long_and_foreign_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "語" * 84,
            "語" * 67,
            "a" * 101,
            "x.",
            "CON",
            "nul.txt",
            "\u212b",
            "\u1100\u1161",
            "\ud800",
        ),
        *(None, 5, b"news", ["news"]),
    ],
)
def test_names_that_are_none_everywhere(name):
    with pytest.raises(ConfigError, match="Illegal domain name"):
        check_name(name)


@pytest.mark.parametrize("name", ["formal", "default", "social/sports", "سر", "work of art"])
def test_head_names(name):
    assert check_head_name(name) == name


ODD = [
    "",
    " ",
    "\t",
    "\u00a0",
    "\u200b",
    "\u200c",
    " a",
    "a ",
    "a\n",
    "\0",
    "a\0b",
    "\ud800",
    "a\udfff",
]


@pytest.mark.parametrize("name", [*ODD, "x" * 10_000, None, 3])
def test_head_names_that_are_none(name):
    with pytest.raises(ConfigError, match="Illegal head name"):
        check_head_name(name)


@pytest.mark.parametrize("label", [*ODD, "x" * 101, "x" * 10_000, None, 3, b"PER"])
def test_labels_that_are_none(label):
    with pytest.raises(ConfigError, match="Illegal label"):
        check_labels(["PER", label])


@pytest.mark.parametrize("labels", ["PER", None, 3, ["PER", "PER"]])
def test_labels_that_are_no_list(labels):
    with pytest.raises(ConfigError, match="label"):
        check_labels(labels)


def test_labels():
    assert check_labels(["PER", "work of art", "شخص\u200cها", "A-B", "x" * 100])[0] == "PER"
    assert check_labels(()) == ()


@pytest.mark.parametrize("text", ["", "قانون", "two\nlines\tand a tab", "😀 می‌روم", "x" * 1000])
def test_descriptions_that_are_taken(text):
    assert check_description(text) == text


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"], "x" * 1001, "a\ud800", "\0", "\x1b[31m"])
def test_descriptions_that_are_refused(text):
    with pytest.raises(ConfigError, match="description"):
        check_description(text)
