"""What hazm knows, without `import hazm`, which takes seconds and 119 MB: gensim, NLTK and
scikit-learn come with it, and a dictionary of tuples. Here are the letters that it replaces and a
set of its words; tests compare both with hazm itself.
"""

import importlib.util
import re
from functools import cache
from pathlib import Path

from ..errors import ConfigError

__all__ = ["LETTERS", "RARE_LETTERS", "hazm_words"]

LETTERS = "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
"""Of which hazm's pattern of repetitions knows."""

_REPLACED = {
    "": (
        "0610-0616 0618-061a 061e 0656-065f 06d4 06d6-06dc 06de-06ed 06fd-06fe 08ad 08d4-08e1 "
        "08e3-08ff fbb2-fbc1 fd3e-fd3f fdfa-fdfb"
    ),
    "ا": "0675 0773-0774",
    "ب": "066e 067b 0680 0750-0756 08a0-08a1 08b6",
    "بسم الله الرحمن الرحیم": "fdfd",
    "ت": "0679-067a 067c-067d 067f 08b8",
    "ج": "08a2",
    "ح": "0681-0682 0685 0757-0758 076e-076f 0772 077c",
    "د": "0688-0690 06ee 0759-075a 08ae",
    "ر": "0691-0697 0699 06ef 075b 076b-076c 0771 08aa 08b9",
    "ز": "08b2",
    "س": "069a-069c 075c 076d 0770 077d-077e",
    "ش": "06fa",
    "ص": "069d-069e 08af",
    "ض": "06fb",
    "ط": "069f 08a3",
    "ع": "06a0 075d-075f 08b3",
    "غ": "06fc",
    "ف": "06a1-06a6 0760-0761 08a4 08bb",
    "ق": "066f 06a7-06a8 08a5 08bc",
    "ل": "06b5-06b8 076a 08a6",
    "م": "0765-0766 08a7",
    "ن": "06b9-06bd 0767-0769 08bd",
    "ه": "06c2-06c3 06ff",
    "و": "0676-0677 06c4-06cb 06cf 0778-0779 08ab 08b1",
    "پ": "08b7",
    "چ": "0687 06bf",
    "ک": "063b 06aa-06ae 0762-0764 077f 08b4",
    "گ": "06b0-06b4 08b0",
    "ی": "0620 063d-063f 0678 06cd-06ce 06d0-06d1 06d3 0775-0777 077a-077b 08a8-08a9 08ac 08ba",
}
"""What stands for a letter -> code points, of those that Unicode's own forms leave."""


def _characters(codes: str) -> list[str]:
    """Return those that ranges of code points name."""
    ends = [[int(end, 16) for end in part.split("-")] for part in codes.split()]
    return [chr(code) for own in ends for code in range(own[0], own[-1] + 1)]


RARE_LETTERS = {char: letter for letter, codes in _REPLACED.items() for char in _characters(codes)}
"""A letter of Arabic script that Persian does not have -> what hazm puts in its place."""


@cache
def hazm_words() -> frozenset[str]:
    """Read hazm's dictionary: 152,000 words, 16 MB.

    RETURNS (frozenset[str]): Its words of Persian letters alone.
    RAISES (ConfigError): If hazm is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("hazm")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for place in places if (path := Path(place) / "data" / "words.dat").is_file()]
    if not found:
        raise ConfigError(
            "There is no dictionary of hazm's (data/words.dat of the package), by which letters "
            "that are typed three times are shortened: install hazm again, 0.10 or later"
        )
    word = re.compile(rf"^([{LETTERS}]+)\t[^\t\n]*\t[^\t\n]*$", re.MULTILINE)
    return frozenset(word.findall(found[0].read_text(encoding="utf8")))
