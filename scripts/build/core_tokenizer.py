"""The embedded core's tokenizer: which of the file's pieces it keeps, and how it reads a text.

The file's normalisation table becomes the character map of `tokenizers.normalizers.Precompiled`,
which is SentencePiece's: u32 bytes of a double-array trie, the trie, and the replacements as
NUL-ended UTF-8. A unit of the trie has 32 bits, as in darts-clone: its label in bits 0-7, 'a value
hangs here' in bit 8 and the offset to its children in bits 10-30; a value has bit 31 set. A child
with label c of the unit at i lies at i ^ offset ^ c, the value at i ^ offset.

One trie does the work of 4,837 `Replace` normalizers. `NFKC` after three of them would be shorter
and nearly the same, but it also composes and reorders marks, which the file's table does not.
"""

import struct
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.decoders import Metaspace
from tokenizers.models import Unigram

from .e5s1 import E5S1

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
MAX_LATIN = 3

_ARABIC = ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFE))
# Combining accents, soft hyphen, general punctuation with the direction marks, emoji variants.
_MARKS = ((0xAD, 0xAD), (0x300, 0x36F), (0x2000, 0x206F), (0xFE00, 0xFE0F))
_HAS_VALUE = 1 << 8
_IS_VALUE = 1 << 31
_VALUE = 0  # UTF-8 of a replaced character never holds byte 0, so it can stand for 'ends here'


def keep_piece(piece: str) -> bool:
    """Whether Persian text needs a piece.

    Kept are pieces of Arabic-script characters, ASCII digits, punctuation, symbols (emoji among
    them) and accents, in any mixture; ASCII letters up to `MAX_LATIN`; and single characters of
    the Latin, Greek and Cyrillic scripts.
    """
    text = piece.removeprefix("▁")
    if len(text) <= MAX_LATIN and text.isascii() and text.isalpha():
        return True
    if len(text) == 1 and text.isalpha():
        name = unicodedata.name(text, "")
        if name.startswith(("LATIN ", "GREEK ", "CYRILLIC ")):
            return True
    return all(_is_persian_or_common(char) for char in text)


def _is_persian_or_common(char: str) -> bool:
    code = ord(char)
    if any(first <= code <= last for first, last in (*_ARABIC, *_MARKS)):
        return True
    category = unicodedata.category(char)
    return category[0] in "PS" or category == "No" or (char.isascii() and char.isdigit())


def build_tokenizer(file: E5S1, kept: Iterable[int]) -> Tokenizer:
    """Make the tokenizer of some of the file's pieces.

    kept (Iterable[int]): Ids of the pieces in the file; their order gives the new ids.
    """
    vocab = [(file.pieces[i], float(file.scores[i])) for i in kept]
    tokenizer = Tokenizer(Unigram(vocab, unk_id=SPECIALS.index("<unk>")))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(build_charsmap(file.normalisation)),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.decoder = Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([*SPECIALS, AddedToken(MASK, lstrip=True)])
    return tokenizer


def build_charsmap(table: Mapping[int, tuple[int, ...]]) -> bytes:
    """Compile a table of single characters.

    table (Mapping[int, tuple[int, ...]]): Replacement by code point; an empty one deletes.
    """
    root: dict[int, Any] = {}
    texts = bytearray()
    places: dict[bytes, int] = {}
    for code in sorted(table):
        text = "".join(map(chr, table[code])).encode() + b"\0"
        if text not in places:
            places[text] = len(texts)
            texts += text
        node = root
        for byte in chr(code).encode():
            node = node.setdefault(byte, {})
        node[_VALUE] = places[text]
    trie = struct.pack(f"<{len(units := _double_array(root))}I", *units)
    return struct.pack("<I", len(trie)) + trie + bytes(texts)


def _double_array(root: dict[int, Any]) -> list[int]:
    units = [0] * 256
    used = bytearray(256)
    used[0] = 1
    bases: set[int] = set()
    leaf = 1
    queue: list[tuple[int, dict[int, Any]]] = [(0, root)]
    while queue:
        at, children = queue.pop()
        # Most nodes have a value and nothing else: for them the search goes on where it stopped.
        while leaf in bases or (leaf < len(used) and used[leaf]):
            leaf += 1
        base = leaf if children.keys() == {_VALUE} else 1
        # Two nodes with one base would take each other's children for their own.
        while base in bases or any(
            (base ^ label) < len(used) and used[base ^ label] for label in children
        ):
            base += 1
        bases.add(base)
        while len(units) <= base:
            units += [0] * 256
            used += bytes(256)
        units[at] |= (at ^ base) << 10
        for label, child in children.items():
            place = base ^ label
            used[place] = 1
            if label == _VALUE:
                units[at] |= _HAS_VALUE
                units[place] = _IS_VALUE | child
            else:
                units[place] = label
                queue.append((place, child))
    return units
