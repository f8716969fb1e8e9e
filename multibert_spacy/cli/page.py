"""The page that `serve` opens, as Streamlit runs it: `streamlit run page.py -- MODEL`.

Streamlit runs this file anew after each click. It is a script, not a module of the package: hence
no relative import. Texts are never sent anywhere but to this machine's own server.
"""

import html
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from multibert_spacy.cli.drawing import read_lines
from multibert_spacy.cli.group import tagger_of
from multibert_spacy.cli.tagging import EXAMPLES, as_csv, parse_texts, tag_threads
from multibert_spacy.errors import MultibertError


@contextmanager
def kept(variable: str) -> Iterator[None]:
    """Leave an environment variable as it is, whatever is imported."""
    before = os.environ.get(variable)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before


with kept("MPLBACKEND"):  # which Streamlit sets
    import streamlit as st
    from spacy_streamlit.util import get_html, load_model

__all__ = ["main"]

DETECTED = "detected"
STYLE = """<style>
.fa, textarea { direction: rtl; line-height: 2.2; font-family: Vazirmatn, Vazir,
  "Noto Naskh Arabic", "Noto Sans Arabic", Tahoma, "DejaVu Sans", sans-serif !important; }
.fa .entities { margin: 0 0 .6em; }
.bars { display: grid; grid-template-columns: max-content 1fr 3em; gap: 2px 8px; font-size: .8em }
.bars i { background: #9edae5; height: 1em; align-self: center; min-width: 1px }
.bars .chosen { background: #1f77b4 }
</style>"""


@st.cache_data(show_spinner=False, max_entries=20)
def tag(model: str, texts: list[tuple[str, dict[str, Any]]], domain: str) -> dict[str, Any]:
    """Tag once, whatever is clicked then."""
    bar = st.progress(0.0, f"{len(texts)} texts")
    nlp = load_model(model)
    chosen = None if domain == DETECTED else domain
    tagged = tag_threads(nlp, texts, chosen, lambda n: bar.progress(n / len(texts)))
    bar.empty()
    return tagged


def show_bars(thread: dict[str, Any]) -> None:
    """All domains of a thread, the likeliest first."""
    cells = []
    for name, p in sorted(thread["cats"].items(), key=lambda item: -item[1]):
        chosen = ' class="chosen"' if name == thread["domain"] else ""
        bar = f'<i{chosen} style="width: {100 * p:.0f}%"></i>'
        cells.append(f"<span>{html.escape(name)}</span>{bar}<span>{p:.2f}</span>")
    st.html(f'<div class="bars">{"".join(cells)}</div>')


def show_tagged(tagged: dict[str, Any], key: str) -> None:
    """Threads in colour, and a table of all entities."""
    for thread in tagged["threads"]:
        sure = "given" if thread["score"] is None else f"{thread['score']:.2f}"
        st.subheader(f"{thread['name']} · {thread['domain']} ({sure})")
        st.html(get_html(f'<div class="fa" lang="fa">{thread["html"]}</div>'))
        if thread["cats"]:
            show_bars(thread)
    if (more := tagged["n_threads"] - len(tagged["threads"])) > 0:
        st.info(f"{more} more threads are not drawn; the table has all of them.")
    if not tagged["rows"]:
        st.info("No entity was found.")
        return
    st.dataframe(tagged["rows"], hide_index=True, key=f"table-{key}")
    data, name = as_csv(tagged["rows"]), f"entities-{key}.csv"
    st.download_button(f"Download {name}", data, name, "text/csv", key=f"download-{key}")


def read_input() -> list[tuple[str, dict[str, Any]]] | None:
    """Ask for texts, pasted or in a file.

    RETURNS (list): The texts, as `parse_texts` returns them; None before there are any.
    """
    columns = st.columns(len(EXAMPLES))
    for column, (name, text) in zip(columns, EXAMPLES.items(), strict=True):
        if column.button(name, width="stretch"):
            st.session_state["pasted"] = text
    pasted = st.text_area(
        "One text a line; an empty line begins another thread", key="pasted", height=180
    )
    file = st.file_uploader("Or a file: .txt as above, or .jsonl", ["txt", "jsonl"])
    if file is None:
        return parse_texts(pasted)
    content = file.getvalue().decode("utf-8-sig", "replace")
    if file.name.endswith(".jsonl"):
        return list(read_lines(file.name, content.splitlines()))
    return parse_texts(content)


def main(model: str) -> None:
    """Draw the page."""
    st.set_page_config(page_title=model.rsplit("/", 1)[-1], layout="wide")
    st.html(STYLE)
    st.title(model.rsplit("/", 1)[-1])
    domains = list(tagger_of(load_model(model)).domains)
    try:
        texts = read_input()
        chosen = st.multiselect(
            "as domain", [DETECTED, *domains], default=[DETECTED], max_selections=2
        )
        if not texts:
            st.info("Paste texts, or click an example.")
            return
        columns = st.columns(max(len(chosen), 1))
        for column, domain in zip(columns, chosen or [DETECTED], strict=True):
            with column:
                show_tagged(tag(model, texts, domain), domain)
    except MultibertError as err:
        st.error(str(err))


if __name__ == "__main__":
    main(sys.argv[1])
