"""The page of threads in a browser: no mark is torn in two by bidirectional order."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy import displacy
from spacy.tokens import Doc

import multibert_spacy  # noqa: F401  (registers doc._.domain and doc._.thread)
from multibert_spacy.cli.drawing import render

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)
MEASURE = """<script>
const box = r => [r.left, r.right];
const found = [...document.querySelectorAll("mark")].map(mark => {
  const after = document.createRange();
  if (mark.nextSibling) after.selectNodeContents(mark.nextSibling);
  return {
    mark: [...mark.getClientRects()].map(box),
    label: [...mark.querySelector("span").getClientRects()].map(box),
    after: [...after.getClientRects()].filter(r => r.width > 0).map(box),
  };
});
const out = document.createElement("pre");
out.textContent = "MEASURED" + JSON.stringify(found) + "MEASURED";
document.body.append(out);
</script>"""
"""Left and right edges, in pixels, of each mark, of its label and of the text behind it."""

TEXTS: list[tuple[str, list[tuple[str, str]]]] = [
    ("تبریز ۲ - ۱ سپاهان", [("تبریز", "ORG"), ("سپاهان", "ORG")]),
    ("تبریز 2 - 1 سپاهان و", [("تبریز", "ORG"), ("سپاهان", "ORG")]),
    ("علی کریمی ۸ گل زد", [("علی کریمی", "PER")]),
    ("در iPhone 15 ۳ دوربین", [("iPhone 15", "PRO")]),
    ("ساعت ۲۰:۳۰ ۸ نفر", [("ساعت ۲۰:۳۰", "MISC")]),
    ("تهران+۹۸ و قم٪۵", [("تهران", "LOC"), ("قم", "LOC")]),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]


def docs() -> list[Doc]:
    nlp = spacy.blank("fa")
    made = []
    for text, ents in TEXTS:
        doc = nlp(text)
        spans = []
        for name, label in ents:
            start = text.index(name)
            spans.append(doc.char_span(start, start + len(name), label, alignment_mode="expand"))
        doc.set_ents(spans)
        made.append(doc)
    return made


def measure(page: str, folder: Path) -> list[dict[str, Any]]:
    path = folder / "page.html"
    path.write_text(page.replace("</body>", f"{MEASURE}</body>"), encoding="utf8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,800"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    run = subprocess.run(
        [str(BROWSER), *flags, path.as_uri()], capture_output=True, timeout=60, check=True
    )
    found = re.search("<pre>MEASURED(.*)MEASURED</pre>", run.stdout.decode("utf8"))
    assert found
    measured: list[dict[str, Any]] = json.loads(unescape(found[1]))
    return measured


def test_each_mark_is_one_box_and_what_follows_stands_outside(tmp_path: Path) -> None:
    measured = measure(render(docs()), tmp_path)
    assert len(measured) == sum(len(ents) for _, ents in TEXTS)
    for row in measured:
        ((left, right),) = row["mark"]
        ((label_left, label_right),) = row["label"]
        assert left < label_left < label_right < right
        assert label_left - left < right - label_right  # it stands behind the name
        for _, end in row["after"]:
            assert end <= left + 1  # right to left: what follows begins where the mark ends


def test_the_measure_sees_the_fault(tmp_path: Path) -> None:
    """displaCy's own markup, in which the first name is torn."""
    page = displacy.render(docs(), style="ent", page=True, jupyter=False)
    assert len(measure(page, tmp_path)[0]["mark"]) > 1
