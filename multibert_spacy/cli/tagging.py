"""Tag pasted texts for the page, and return plain values that it can keep between two clicks."""

import csv
import io
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from ..text.blank import is_blank
from .drawing import draw

__all__ = ["EXAMPLES", "as_csv", "parse_texts", "tag_threads"]

Texts = list[tuple[str, dict[str, Any]]]
EXAMPLES = {
    "سفر": "تور ۴ روزه تبریز با قطار و هتل، نفری ۳ میلیون تومان ✈️ همین امروز رزرو کنید\n"
    "بهترین فصل سفر به اصفهان بهار است، هتل‌ها هم خلوت‌اند. #سفر",
    "ورزش": "علی کریمی در دیدار برابر استقلال دو گل زد و پرسپولیس ۳ - ۱ برنده شد\n"
    "سرمربی سپاهان از داوری بازی دیروز در ورزشگاه نقش جهان گلایه کرد",
    "دو رشته": "وزیر امور خارجه در تهران با همتای عراقی خود دیدار کرد\n"
    "مجلس شورای اسلامی امروز لایحه بودجه را بررسی می‌کند\n\n"
    "گوشی تازه سامسونگ با اندروید ۱۵ عرضه شد 📱\n"
    "گوگل از نسخه جدید کروم برای ویندوز خبر داد",
}
"""Pasted text by name: Persian, since that is what the shipped pipeline reads."""
MOST_DRAWN = 50
"""Threads that are drawn; the table has all."""


def parse_texts(pasted: str) -> Texts:
    """Split pasted text into texts and threads.

    pasted (str): One text a line; an empty line begins another thread.
    RETURNS (list): Each text with its thread, as `nlp.pipe(as_tuples=True)` takes it.
    """
    texts: Texts = []
    thread, ended = 0, False
    for line in pasted.splitlines():
        if not line.strip():
            ended = True
            continue
        thread += ended or not texts
        ended = False
        texts.append((line.strip(), {"thread": thread}))
    return texts


def tag_threads(
    nlp: Any, texts: Texts, domain: str | None, tell: Callable[[int], None] = lambda n: None
) -> dict[str, Any]:
    """Tag texts.

    nlp (Language): The pipeline.
    texts (list): See `parse_texts`.
    domain (str): As which they are tagged; None is what is detected, or a text's own.
    tell (Callable): Is told how many are done.
    RETURNS (dict): `threads`, the first with `domain`, `score` (None where it was given), `cats`
        and `html`; `n_threads`; `rows`, a dict for each entity.
    """
    given = {} if domain is None else {"domain": domain}
    stream = ((text, context | given) for text, context in texts)
    threads: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    n_threads = n_done = 0
    tagged = (doc for doc, _ in nlp.pipe(stream, as_tuples=True))
    for thread, run in groupby(tagged, lambda doc: doc._.thread):
        docs = list(run)
        n_threads += 1
        n_done += len(docs)
        tell(n_done)
        # a text without a letter is asked for no domain where another one can be
        told = next((doc for doc in docs if not is_blank(doc)), docs[0])
        if len(threads) < MOST_DRAWN:
            threads.append(
                {
                    **{"name": str(thread), "domain": told._.domain},
                    **{"score": told._.domain_score, "cats": dict(told.cats)},
                    "html": draw(docs),
                }
            )
        rows += [
            {
                **{"thread": str(thread), "domain": doc._.domain, "label": ent.label_},
                **{"entity": ent.text, "score": round(ent._.score, 3), "text": doc.text},
            }
            for doc in docs
            for ent in doc.ents
        ]
    return {"threads": threads, "n_threads": n_threads, "rows": rows}


def as_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    """Write rows as a table that a spreadsheet opens as UTF-8; no cell is a formula."""
    rows = list(rows)
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _harmless(value) for key, value in row.items()})
    return file.getvalue().encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value
