"""What a user gets: the text goes in, our tokenizer cuts it, and spans are compared by character.

The corpora come as words. They are joined as a writer would, and since our tokenizer may cut the
text elsewhere, truth and answer are laid on the finest words that both agree with: every border
of either is a border there. So the strict scores of `entities.py` hold unchanged.

Some corpora leave an emoji on the word that it stands before, and so in the name: «🔹رضا». Our
tokenizer cuts it off. It is no part of a name, and counts in neither.
"""

import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

CLOSING = re.compile(r"[.،؛:!؟?,…)\]}»”%٪]+")
OPENING = re.compile(r"[(\[{«“]+")


def join_words(words: Sequence[str]) -> tuple[str, list[int]]:
    """Put a space between words, but none before closing or after opening punctuation, and none
    within a pair of straight quotation marks.

    words (Sequence[str]): Words of one text.
    RETURNS (tuple): The text, and where each word begins in it.
    """
    text, starts = "", []
    glue = True  # whether the next word follows without a space
    quoted = False
    for word in words:
        closes_quote = word == '"' and quoted
        if not glue and not closes_quote and not CLOSING.fullmatch(word):
            text += " "
        starts.append(len(text))
        text += word
        if word == '"':
            quoted = not quoted
        glue = bool(OPENING.fullmatch(word)) or (word == '"' and quoted)
    return text, starts


def _without_signs(text: str, start: int, end: int) -> tuple[int, int]:
    """RETURNS (tuple): A span without the emoji and other signs at its ends, and what joins or
    varies them; the same span if it has nothing else.
    """
    inner = [i for i in range(start, end) if not _is_sign(text[i])]
    return (inner[0], inner[-1] + 1) if inner else (start, end)


def _is_sign(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Sk", "Cf") or char == "\ufe0f"


def on_common_words(predicted: Doc, reference: Doc, starts: Sequence[int]) -> Example:
    """Lay both on the finest common words.

    predicted (Doc): Of the joined text.
    reference (Doc): The gold words.
    starts (Sequence[int]): Where each gold word begins in the joined text.
    RETURNS (Example): Two new docs of equal words, with the entities and the domain of each.
    """
    text = predicted.text
    gold = []
    for ent in reference.ents:
        end = starts[ent.end - 1] + len(reference[ent.end - 1])
        gold.append((*_without_signs(text, starts[ent.start], end), ent.label_))
    found = [
        (*_without_signs(text, ent.start_char, ent.end_char), ent.label_) for ent in predicted.ents
    ]
    borders = {0, len(text), *starts}
    borders.update(at for a, b, _ in (*gold, *found) for at in (a, b))
    borders.update(start + len(word) for start, word in zip(starts, reference, strict=True))
    borders.update(at for word in predicted for at in (word.idx, word.idx + len(word)))
    cuts = sorted(borders)
    words = [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    index = {at: i for i, at in enumerate(cuts)}
    docs = []
    for spans, source in ((found, predicted), (gold, reference)):
        doc = Doc(reference.vocab, words=words, spaces=[False] * len(words))
        doc.set_ents([Span(doc, index[a], index[b], label=label) for a, b, label in spans])
        doc._.domain = source._.domain
        docs.append(doc)
    return Example(*docs)


def raw_examples(
    nlp: Language, references: Sequence[Doc], *, threads: Sequence[Hashable] | None = None
) -> Iterable[Example]:
    """Tag the joined texts.

    nlp (Language): A whole pipeline.
    references (Sequence[Doc]): Gold docs with their domains.
    threads (Sequence): The thread of each, by which its domain is detected; without them each
        text's domain is given.
    YIELDS (Example): One per doc, in order.
    """
    joined = [join_words([word.text for word in doc]) for doc in references]
    contexts: list[dict[str, Any]]
    if threads is None:
        contexts = [{"domain": doc._.domain} for doc in references]
    else:
        contexts = [{"thread": thread} for thread in threads]
    texts = [(text, context) for (text, _), context in zip(joined, contexts, strict=True)]
    docs = nlp.pipe(texts, as_tuples=True)
    for (doc, _), reference, (_, starts) in zip(docs, references, joined, strict=True):
        yield on_common_words(doc, reference, starts)
