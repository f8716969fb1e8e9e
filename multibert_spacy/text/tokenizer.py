"""Words of raw Persian social text, as a configured `spacy.tokenizer.Tokenizer`.

One regular expression describes every token, and spaCy's tokenizer runs it as its infix rule
between white space. That keeps what spaCy gives for free (offsets, `doc.text == text`, special
cases, serialisation) without the parts that do harm here:

- The exceptions of spaCy's `fa` split `خودش` into `خود ش` and `مرا` into `م را`; the corpora
  do not.
- Its prefix and suffix rules take one mark off at a time and look at the whole rest each time:
  quadratic, so that a long run of `!` takes for ever. The infix rule is one pass.

hazm's `WordTokenizer` has no offsets, breaks URLs and addresses, and cuts numbers off their
words. `metrics/tokenizer.json` has all three measured against the corpora.

One token is: a URL, an e-mail address, a mention, a hashtag, a smiley of punctuation, one emoji
with its modifiers, a number with its separators, a word of letters, digits, diacritics and
ZWNJ, a run of dots or of one of `- ~ = *`. Every other character stands alone. ZWNJ and other
invisible characters stay inside a word that surrounds them and are tokens of their own at its
edges, so that no entity begins or ends with one.

HTML references (`&nbsp;`, `&#1593;`) are read first, and the tokens are those of the text that
they stand for: inside a word they belong to it, white space is a token of its own.

What is attached follows the corpora: a plural with a ZWNJ (`ایرانی‌ها`) and a colloquial object
marker (`تهرانو`) are one token with their noun, which is labelled whole; a hashtag is one with its
sign. No entity of theirs begins with the preposition of `به‌تهران`: it is cut off, unless what
follows makes an adverb of it (`به‌ویژه`), which they write as one token.
"""

import hashlib
import logging
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.util import registry

from ..errors import MultibertError
from ..serialization.files import read_regular
from ..serialization.parts import ID_LENGTH, LOADED, SAVED, is_whole
from .normalize import INVISIBLE
from .references import has_references, references
from .surrogates import error_of, mark, mend

__all__ = ["PersianTokenizer", "build_persian_tokenizer_v1"]

logger = logging.getLogger(__name__)

# Time stays linear: whatever can fail late is bounded or possessive, or consumes what it saw.
_MARKS = INVISIBLE
_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2100-\u214f\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
_NO_WORD = (
    r"\s\x00-/:-@\[-\^`{-\x7f"
    "\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7"
    "\u0600-\u060f\u061b-\u061f\u066a-\u066d\u06d4\u06dd\u06de\u06e9\u06fd\u06fe"
    "\u070f\u0890\u0891\u08e2\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u206f\u20a0-\u20cf\u2100-\u2bff\u3000-\u303f\u3164\ufd3e\ufd3f"
    "\ufdfa-\ufdfd\ufe00-\ufe6f\ufeff-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffa0\ufff0-\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U0001f000-\U0001faff\U000e0000-\U000e0fff"
)
_WORD_CHAR = f"[^{_NO_WORD}]"
_WORD = f"(?:[^{_NO_WORD}hH]|[hH](?!(?i:ttps?://)))+"
_JOINED = f"{_WORD_CHAR}+(?:[\u200c\u200d]++{_WORD_CHAR}+)*"
_ADVERBS = "|".join(  # what the corpora write in one with به and a ZWNJ begins so
    "آسانی اختصار استثنا اصطلاح ام این باد به تازگی تصویر تناوب تنهای تنهائی ثبت جا جز حق "
    "خاطر خصوص خوبی خودی خون دار دست دقت درستی دردن دنبال دور راحتی راستی رغم روز روشنی زودی "
    "زور سان سادگی سختی سرعت سزا سوی شخصه شدت شمار صراحت صورت طور ظاهر عبارت علاوه علت عمل "
    "عنوان غایت قدر قول کار کرات کلی گا گرمی گونه لحاظ لطف مثابه مانند محض مرات مرور معن منزل "
    "منظور مناسبت موقع ناچار ناگاه نام ندرت نژاد نظر واسطه واقع وجود وسیله وضوح ویژه ها هر هم "
    "هنگام هیچ یاد یقین یک".split()
)
_APOSTROPHE = r"(?<=[A-Za-z])['’](?=[A-Za-z])"
_NAME = r"[A-Za-z0-9_۰-۹٠-٩]"
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[a-z]{2,24}(?![A-Za-z0-9@-])"
_PATH_CHAR = f'[^\\s<>"«»،؛؟{_MARKS}{_PICTURES}]'
_PATH_END = f"[^\\s<>\"«»،؛؟{_MARKS}{_PICTURES}'.,:;!?()\\[\\]{{}}…]"
_PICTURE = f"[{_PICTURES}][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"

_TOKENS = {
    "short link": r"(?i:https?)://t\.co/[A-Za-z0-9]+",
    "link": rf"(?i:https?|ftp)://{_PATH_CHAR}*{_PATH_END}",
    "e-mail": rf"[A-Za-z0-9._%+-]{{1,64}}@{_HOST}",
    "host": rf"{_HOST}(?::[0-9]{{2,5}})?(?:[/?#](?:{_PATH_CHAR}*{_PATH_END})?)?",
    "mention": rf"[@＠](?:{_NAME}+(?:\.{_NAME}+)*|{_JOINED})",
    "sign of a hashtag": f"[#＃](?={_JOINED})",
    "hashtag": f"(?<=[#＃]){_JOINED}",
    "flag": "[\U0001f1e6-\U0001f1ff]{2}",
    "keycap": "[0-9#*]\ufe0f?\u20e3",
    "emoji": f"{_PICTURE}(?:\u200d{_PICTURE})*",
    "smiley": rf"[:=;؛]['’-]?(?:\)+|\(++(?!{_WORD_CHAR}))",
    "mirrored smiley": rf"\({{1,16}}[:=](?!{_WORD_CHAR})",
    "Latin smiley": rf"(?:[:;=]-?[DPp]|:[|*]|:/(?!/)|<3)(?!{_WORD_CHAR})|\^[_.-]{{0,3}}\^",
    "abbreviation": r"(?:[A-Za-z]\.){2,8}(?![A-Za-z])",
    "number": r"\d+(?:[.,/:٫٬]\d+)+",
    "preposition": rf"به(?=[\u200c\u200d]++(?!{_ADVERBS}){_WORD_CHAR}{{2}})",
    "word": rf"{_WORD}(?:(?:{_APOSTROPHE}|[{_MARKS}]++(?={_WORD_CHAR})){_WORD})*",
    "run": r"\.{2,}|…+|([-~=*])\1+",
    "marks": f"[{_MARKS}]+",
    "character": "\\S[\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f]*",
}
_TOKEN = "|".join(_TOKENS.values())
_MAGIC = b"multibert tokenizer "
_LARGEST = 2**26


class _Piece(NamedTuple):
    """The part of a regular expression's match that spaCy asks for."""

    first: int
    last: int

    def start(self) -> int:
        return self.first

    def end(self) -> int:
        return self.last


class _Reader:
    """Finds tokens in a text whose HTML references are read. As the `finditer` of a pattern,
    which is what spaCy saves of it.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._find = re.compile(pattern).finditer

    def finditer(self, text: str) -> Iterable[Any]:
        """Return where in the text its tokens are."""
        return self._pieces(text) if has_references(text) else self._find(text)

    def _pieces(self, text: str) -> Iterator[_Piece]:
        """Without gaps: spaCy would put what is not matched at the start with what follows."""
        plain, places = references(text)
        done = 0
        for match in self._find(plain):
            for end in (places[match.start()], places[match.end()]):
                if end > done:
                    yield _Piece(done, end)
                    done = end
        if done < len(text):
            yield _Piece(done, len(text))


class PersianTokenizer(Tokenizer):
    """The tokenizer of spaCy, which reports invalid text, and whose file begins with its hash.

    A bit flipped in the saved patterns would otherwise cut other words without an error.
    """

    infix_finditer: Callable[[str], Iterable[Any]] | None

    nlp: Callable[[], Language | None] = staticmethod(lambda: None)
    """The pipeline, which a tokenizer that was pickled has no more: weakly, it owns the other."""
    told = False
    """Whether a component of that pipeline says what is no text."""

    def __call__(self, text: str) -> Doc:
        """Make a doc.

        A text with half a surrogate pair is an error where one of our components raises it, see
        `surrogates.py`; `doc.text` is not the input then.

        RAISES (MultibertError): For such a text, if the pipeline has none of our components.
        """
        error = error_of(text)
        if error is None:
            return super().__call__(text)
        if not self._is_told():
            raise error
        logger.warning("%s", error)
        return mark(super().__call__(mend(text)), error)

    def _is_told(self) -> bool:
        return self.told if self.nlp() is None else self._has_ours()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as spaCy's tokenizer does, and not the pipeline."""
        made, args, *_ = super().__reduce__()
        return made, args, {"told": self._is_told()}

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "PersianTokenizer":
        """Read what `to_bytes` wrote, or what spaCy's own tokenizer did."""
        super().from_bytes(bytes_data, exclude=exclude)
        if isinstance(finder := getattr(self.infix_finditer, "__self__", None), re.Pattern):
            self.infix_finditer = _Reader(finder.pattern).finditer
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write what spaCy writes behind a line with its SHA-256."""
        if is_whole(exclude):
            self._check_others()
            SAVED.begin(Path(path).parent, to_come=self._has_ours())
        data = self.to_bytes(exclude=exclude)
        head = _MAGIC + hashlib.sha256(data).hexdigest().encode("ascii")
        Path(path).write_bytes(head + b"\n" + data)
        if is_whole(exclude):
            SAVED.note(Path(path), hashlib.sha256(head + b"\n" + data).hexdigest()[:ID_LENGTH])

    def _check_others(self) -> None:
        """Find out before anything is written what a component will not be saved with."""
        nlp = self.nlp()
        for _, proc in nlp.components if nlp is not None else ():
            check = getattr(proc, "check_savable", None)
            if check is not None:
                check()

    def _has_ours(self) -> bool:
        """Return whether the pipeline, if it is known, has a component of ours."""
        nlp = self.nlp()
        steps = [] if nlp is None else nlp.pipeline
        return any(getattr(step, "checks_texts", False) for _, step in steps)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "PersianTokenizer":
        """Read what `to_disk` wrote, or what spaCy's own tokenizer did.

        RAISES (MultibertError): If the file is missing or damaged.
        """
        try:
            data = read_regular(Path(path), largest=_LARGEST)
            own = hashlib.sha256(data).hexdigest()[:ID_LENGTH]
            if data.startswith(_MAGIC):
                head, _, data = data.partition(b"\n")
                if head != _MAGIC + hashlib.sha256(data).hexdigest().encode("ascii"):
                    raise MultibertError("its SHA-256 differs from the one in its first line")
            self.from_bytes(data, exclude=exclude)
        except Exception as e:  # msgpack and re have a type for each kind of damage
            raise MultibertError(f"{path} is missing or damaged: {e}") from e
        if is_whole(exclude):
            LOADED.note(Path(path), own)
        return self


@registry.tokenizers("multibert_spacy.PersianTokenizer.v1")
def build_persian_tokenizer_v1() -> Callable[[Language], Tokenizer]:
    """Make the tokenizer for raw Persian text.

    RETURNS (Callable[[Language], Tokenizer]): From the pipeline to its tokenizer.
    """

    def create_tokenizer(nlp: Language) -> Tokenizer:
        tokenizer = PersianTokenizer(nlp.vocab, infix_finditer=_Reader(_TOKEN).finditer)
        tokenizer.nlp = weakref.ref(nlp)
        return tokenizer

    return create_tokenizer
