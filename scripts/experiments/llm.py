"""What a chatbot finds in the test part, at any endpoint that speaks OpenAI's protocol.

    OPENAI_API_KEY=... python -m scripts.experiments.llm MODEL --endpoint https://HOST/v1

spacy-llm asks, as configs/llm.cfg says; its settings may be given, too, as in `spacy train`. Each
corpus has a prompt of its own, as adapters are told the domain: the labels that it marks, as its
head defines them, and few-shot some texts of its train part. Unless the endpoint is on this
machine, texts leave it. Answers are kept, so that a second run asks only for what has failed.
"""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import spacy
import typer
from requests_cache import CachedSession
from rich.console import Console
from rich.progress import track
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from spacy_llm.models.rest.openai.model import OpenAI
from spacy_llm.registry import registry

from multibert_spacy.errors import ConfigError
from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.training.corpus import read_docs

from ..build.scoring.detection import draw_docs
from ..build.scoring.entities import count_docs, score_entities
from ..build.scoring.report import entity_table
from ..domains import CORPORA, DOMAINS, HEADS, LABELS, CorpusEntry, domains_of
from ..options import Corpus, Limit, Metrics, Seed
from ..record import build_header, readable_errors, save, table

app = typer.Typer(add_completion=False)
console = Console()

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "llm.cfg"
Endpoint = Annotated[str, typer.Option(envvar="OPENAI_BASE_URL", help="Up to chat/completions")]
GIVE_UP = 10
"""Failures before the first answer."""


def content_of(response: requests.Response) -> str | None:
    """RETURNS (str | None): The answer; None if the response is none of the protocol's."""
    try:
        content = response.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return None
    return content if isinstance(content, str) else None


class OpenAICompatible(OpenAI):
    """spacy-llm's client, without its question to api.openai.com whether it has the model, and
    with answers kept under the whole request: spacy-llm's own cache would forget tokens, and what
    was asked.
    """

    def __init__(self, answers: str | None, **settings: Any) -> None:
        self.counts: Counter[str] = Counter()
        self._session = CachedSession(
            str(Path(answers).absolute()) if answers else ":memory:",
            serializer="json",
            allowable_methods=["POST"],
            filter_fn=lambda response: content_of(response) is not None,
        )
        super().__init__(**settings)

    def _verify_auth(self) -> None:
        """Whether the key is right, the first answer tells."""

    def retry(self, call_method: Any, url: str, **request: Any) -> requests.Response:
        """RETURNS (Response): As spacy-llm's; what it holds is counted.
        RAISES (ValueError): If it should have an answer, and has none.
        """
        response = super().retry(self._session.post, url, **request)
        if response.ok:
            if (content := content_of(response)) is None:
                raise ValueError(f"This is no answer: {response.text[:80]!r}")
            usage = response.json().get("usage") or {}
            for key in ("prompt_tokens", "completion_tokens"):
                self.counts[key] += usage.get(key) or 0
            self.counts["kept"] += response.from_cache
            self.counts["unreadable"] += bool(content.strip()) and content.count("|") < 3
        return response


@registry.llm_models("multibert_spacy.OpenAICompatible.v1")
def build_openai_compatible_v1(
    name: str, endpoint: str, answers: str | None, settings: dict[str, Any]
) -> OpenAICompatible:
    """answers (str | None): SQLite file that they are kept in. settings (dict): spacy-llm's."""
    return OpenAICompatible(answers, name=name, endpoint=endpoint, **settings)


def build_chatbot(
    corpus: CorpusEntry, train: Sequence[Doc], shots: int, seed: int, settings: dict[str, Any]
) -> Language:
    """Make a pipeline that asks about the labels of a corpus.

    train (Sequence[Doc]): Of those of the corpus that have entities, examples are drawn.
    shots, seed (int): How many, and of drawing them.
    settings (dict): Of configs/llm.cfg, such as "vars.name".
    """
    names = domains_of(corpus.key)
    meanings = LABELS[DOMAINS[names[0]].head]
    own: dict[str, Any] = {"vars.labels": list(corpus.types), "vars.shots": shots}
    own["vars.definitions"] = {label: meanings[label] for label in corpus.types}
    nlp = load_model_from_config(load_config(CONFIG, {**settings, **own}), auto_fill=True)
    drawn = [doc for doc in train if doc.ents and doc._.domain in names]
    random.Random(seed).shuffle(drawn)
    nlp.initialize(lambda: [Example(join_docs([doc], nlp.vocab), doc) for doc in drawn[:shots]])
    return nlp


def ask(
    nlp: Language, references: Sequence[Doc], title: str
) -> tuple[list[Example], Counter[str], Counter[str]]:
    """Ask about texts.

    references (Sequence[Doc]): Gold docs.
    RETURNS (tuple): An example of each, without entities where no answer came; counts of tokens,
        of answers "kept" from before and of those "unreadable" since no line is as the prompt
        wants it; and failures, by the name of their error.
    RAISES (ConfigError): If no answer comes at all.
    """
    failures: Counter[str] = Counter()
    answered: dict[int, Doc] = {}

    def note(name: str, proc: Any, docs: list[Doc], error: Exception) -> None:
        failures[type(error).__name__] += 1
        if not answered and failures.total() >= min(GIVE_UP, len(references)):
            raise ConfigError(f"Not one answer: {error}. Check endpoint, key and model") from error

    nlp.set_error_handler(note)
    asked = [(join_docs([doc], nlp.vocab), i) for i, doc in enumerate(references)]
    for doc, i in nlp.pipe(track(asked, title, console=console), as_tuples=True):
        answered[i] = doc
    made = [Example(answered.get(i, doc), references[i]) for doc, i in asked]
    return made, +nlp.get_pipe("llm")._model.counts, failures


def score_chatbot(
    docs: Sequence[Doc], train: Sequence[Doc], shots: int, seed: int, settings: dict[str, Any]
) -> tuple[list[Example], dict[str, Any]]:
    """docs (Sequence[Doc]): What is asked about. The others are `build_chatbot`'s.
    RETURNS (tuple): All examples, by domain; scores, and the "counts" and "failures" of `ask`.
    """
    examples: list[Example] = []
    counts: dict[str, Counter[str]] = {"counts": Counter(), "failures": Counter()}
    for corpus in CORPORA.values():
        if own := [doc for doc in docs if doc._.domain in domains_of(corpus.key)]:
            nlp = build_chatbot(corpus, train, shots, seed, settings)
            found, *counted = ask(nlp, own, f"{corpus.name}, {shots} examples")
            examples.extend(found)
            for all_of, one in zip(counts.values(), counted, strict=True):
                all_of.update(one)
    examples.sort(key=lambda eg: str(eg.reference._.domain))
    return examples, {**score_entities(examples, seed=seed, groups=HEADS), **counts}


@app.command(
    help=__doc__, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def main(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="As the endpoint calls it")],
    endpoint: Endpoint = "",
    corpus: Corpus = Path("corpus/persian"),
    metrics: Metrics = None,
    limit_groups: Limit = 0,
    seed: Seed = 0,
) -> None:
    url = f"{endpoint.rstrip('/')}/chat/completions"
    settings = {"vars.name": model, "vars.endpoint": url, **parse_config_overrides(context.args)}
    shots = load_config(CONFIG, settings)["vars"]["shots"]
    with readable_errors():
        if not urlsplit(endpoint).hostname:
            raise ConfigError(f"Endpoint {endpoint!r} is no URL: set OPENAI_BASE_URL, or give one")
        vocab = spacy.blank("fa").vocab
        train, docs = (read_docs(corpus / part, vocab) for part in ("train", "test"))
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        report = build_header("scripts.experiments.llm", docs, corpus=corpus, **given)
        report |= {"model": model, "endpoint": urlsplit(endpoint).hostname, "shots": shots}
        report["doc_counts"] = {}
        drawn = draw_docs(docs, seed=seed, limit_groups=limit_groups)
        for mode, n in {"zero_shot": 0, "few_shot": shots}.items():
            examples, report[mode] = score_chatbot(drawn, train, n, seed, settings)
            report["doc_counts"][mode] = count_docs(examples, docs)
    save(report, metrics or Path("metrics", corpus.name, "llm.json"))
    modes = {mode: report[mode] for mode in report["doc_counts"]}
    console.print(entity_table(modes))
    counts = ({"": mode, **own["counts"], **own["failures"]} for mode, own in modes.items())
    console.print(table("Tokens, answers, failures", counts))


if __name__ == "__main__":
    app()
