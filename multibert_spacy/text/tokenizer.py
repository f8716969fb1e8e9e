"""Words of raw Persian social text, as a configured `spacy.tokenizer.Tokenizer`.

One regular expression describes every token, and spaCy's tokenizer runs it as its infix rule
between white space. That keeps what spaCy gives for free (offsets, `doc.text == text`, special
cases, serialisation) without the parts that do harm here:

- spaCy's `fa` exceptions split `خودش` into `خود ش` and `مرا` into `م را`: no corpus does.
- spaCy's prefix and suffix rules take one mark off at a time and look at the whole rest each
  time: quadratic, so that 1 MB of `!` would take hours. The infix rule is one pass.

hazm's `WordTokenizer` has no offsets, breaks URLs and addresses, and cuts every number off its
word. `scripts/tokenizer_agreement.py` measures the three.

What is one token: a URL, an e-mail address, a mention, a hashtag, a smiley of punctuation, one
emoji with its modifiers, a number with its separators, a run of letters, digits, diacritics and
ZWNJ, a run of one of `. … - ~ = * _`. Every other character stands alone. Invisible direction
marks stay inside a word that surrounds them, and are tokens of their own at its edges, so that
an entity's text does not begin with one.
"""

import re
from collections.abc import Callable

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.util import registry

__all__ = ["build_persian_tokenizer_v1"]

# All quantifiers that a later character can refute are bounded: the time is linear.
_MARKS = "\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\u061c\ufeff\u00ad"
_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2100-\u214f\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
_NO_WORD = (
    r"\s!-/:-@\[-\^`{-~"
    "\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7"
    "\u0600-\u060f\u061b-\u061f\u066a-\u066d\u06d4\u06dd\u06de\u06e9\u06fd\u06fe"
    "\u2000-\u200b\u200e-\u206f\u20a0-\u20cf\u2100-\u2bff\u3000-\u303f\ufd3e\ufd3f"
    "\ufdfa-\ufdfd\ufe10-\ufe6f\ufeff-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff"
    "\U0001f000-\U0001faff\U000e0000-\U000e01ef"
)
_WORD = f"[^{_NO_WORD}]"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})"
_TOP = r"[A-Za-z]{2,24}(?![A-Za-z0-9@-])"
_URL_CHAR = f"[^\\s<>\"«»،؛؟{_MARKS}]"
_URL_END = f"[^\\s<>\"'«»،؛؟.,:;!?()\\[\\]{{}}…{_PICTURES}{_MARKS}]"
_PICTURE = f"[{_PICTURES}]\ufe0e?\ufe0f?[\U0001f3fb-\U0001f3ff]?\u20e3?[\U000e0020-\U000e007f]*"
