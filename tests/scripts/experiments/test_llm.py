"""A chatbot's entities, from a stand-in for its endpoint on this machine."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import spacy
from conftest import write_toy_corpus
from spacy.tokens import Doc
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from scripts.domains import CORPORA, DOMAINS

pytest.importorskip("spacy_llm")
from scripts.experiments.llm import app, ask, build_chatbot, score_chatbot

NEWS = CORPORA["arman"]
WELL = "1. علی | True | PER | is a person\n2. رفت | False | ==NONE== | is a verb\n"
WELL += "3. تبریز | True | loc | is a city"
ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": WELL}}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
}


class StandIn(ThreadingHTTPServer):
    """Answers `replies` in turn, status and body, and the last of them ever after; with status 0
    it takes longer than anyone waits.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = [(200, ANSWER)]
        self.asked = []
        self.paths = Counter()
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def contents(self):
        return [body["messages"][0]["content"] for body in self.asked]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        server.paths[self.path, self.headers["Authorization"]] += 1
        status, body = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
        if status == 0:
            server.closing.wait(5)
            return
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = StandIn()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(server, tmp_path):
    model = "components.llm.model.settings"
    return {
        "vars.name": "stand-in",
        "vars.endpoint": f"{server.url}/chat/completions",
        "paths.answers": str(tmp_path / "kept" / "answers.sqlite"),
        f"{model}.max_tries": 2,
        f"{model}.interval": 0.01,
        f"{model}.max_request_time": 5,
    }


def doc(words, tags, domain="news"):
    made = Doc(spacy.blank("fa").vocab, words=words.split(), ents=tags.split())
    made._.domain = domain
    return made


GOLD = doc("علی به تبریز رفت", "B-PER O B-LOC O")
OTHER = doc("او از تبریز آمد", "O O B-LOC O")


def entities(examples):
    return [[(ent.text, ent.label_) for ent in eg.predicted.ents] for eg in examples]


def asked(settings, docs=(GOLD,), **changed):
    nlp = build_chatbot(NEWS, [], 0, 0, {**settings, **changed})
    return ask(nlp, docs, "")


def test_an_answer_is_read(server, settings):
    examples, counts, failures = asked(settings)
    assert entities(examples) == [[("علی", "PER"), ("تبریز", "LOC")]]
    assert [w.text for w in examples[0].predicted] == "علی به تبریز رفت".split()
    assert counts == {"prompt_tokens": 100, "completion_tokens": 20}
    assert not failures
    assert server.paths == {("/v1/chat/completions", "Bearer a-key"): 1}
    assert (server.asked[0]["model"], server.asked[0]["temperature"]) == ("stand-in", 0.0)


def test_the_prompt_has_what_the_corpus_marks(server, settings):
    asked(settings)
    prompt = server.contents()[0]
    assert "labels: EVE, FAC, LOC, ORG, PER, PRO." in prompt
    assert "PER: people, by name or nickname" in prompt
    assert "NAT" not in prompt  # a label of the head, but not of this corpus
    assert prompt.endswith("Paragraph: علی به تبریز رفت \nAnswer:")
    assert "Sriracha" in prompt  # an example of other labels, where there is none of ours


def test_examples_are_drawn_from_train_by_seed(server, settings):
    train = [doc(f"نفر{i} رفت", "B-PER O") for i in range(20)]
    train += [doc("هیچ", "O"), doc("توییت سعدی", "O B-PER", "tweet")]
    prompts = {}
    for seed in (0, 0, 1):
        ask(build_chatbot(NEWS, train, 3, seed, {**settings, "paths.answers": None}), [GOLD], "")
        prompts.setdefault(seed, set()).add(server.contents()[-1])
    assert len(prompts[0]) == len(prompts[1]) == 1 and prompts[0] != prompts[1]
    (prompt,) = prompts[0]
    assert prompt.count("| True | PER |") == 3 and "سعدی" not in prompt and "هیچ" not in prompt


def test_answers_are_kept(server, settings):
    first = asked(settings, [GOLD, OTHER])
    server.replies = [(500, "")]
    again = asked(settings, [GOLD, OTHER])
    assert entities(again[0]) == entities(first[0])
    assert again[1] == first[1] + Counter(kept=2)  # tokens are what the answers cost once
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "changed", [{"vars.name": "other"}, {"components.llm.model.settings.config": {"top_p": 0.5}}]
)
def test_another_question_is_asked_anew(server, settings, changed):
    asked(settings)
    asked(settings, **changed)
    assert len(server.asked) == 2


def test_the_key_is_not_kept(server, settings, tmp_path):
    asked(settings)
    files = list((tmp_path / "kept").iterdir())
    assert files and not any(b"a-key" in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    "content", ["سلام! چگونه می‌توانم کمک کنم؟", "PER: علی", "1. علی | PER", "{}"]
)
def test_a_bad_answer_has_no_entities(server, settings, content):
    server.replies = [(200, {"choices": [{"message": {"content": content}}]})]
    examples, counts, failures = asked(settings)
    assert entities(examples) == [[]]
    assert (counts, failures) == ({"unreadable": 1}, {})


def test_an_empty_answer_is_one(server, settings):
    server.replies = [(200, {"choices": [{"message": {"content": ""}}]})]
    assert asked(settings)[1:] == ({}, {})


def test_labels_and_names_that_are_not_there(server, settings):
    content = (
        "1. حسن | True | PER | who?\n2. علی | True | KING | no label\n3. تبریز | True | LOC |"
    )
    server.replies = [(200, {"choices": [{"message": {"content": content}}]})]
    assert entities(asked(settings)[0]) == [[("تبریز", "LOC")]]


@pytest.mark.parametrize(
    "reply, kind",
    [
        ((0, ""), "TimeoutError"),
        ((429, {"error": {"message": "slow down"}}), "ConnectionError"),
        ((503, "busy"), "ConnectionError"),
        ((400, {"error": {"message": "too long"}}), "ValueError"),
        ((200, "<html>"), "ValueError"),
        ((200, "[1, 2"), "ValueError"),
        ((200, []), "ValueError"),
        ((200, {"choices": []}), "ValueError"),
        ((200, {"choices": [{"message": {"content": None}}]}), "ValueError"),
        ((200, {"error": {"message": "no"}}), "ValueError"),
    ],
)
def test_a_text_that_fails_fails_alone_and_is_asked_again(server, settings, reply, kind):
    waits = {"components.llm.model.settings.max_request_time": 0.3} if reply[0] == 0 else {}
    server.replies = [(200, ANSWER), reply]
    examples, _, failures = asked(settings, [GOLD, OTHER], **waits)
    assert entities(examples) == [[("علی", "PER"), ("تبریز", "LOC")], []]
    assert failures == {kind: 1}
    server.replies = [(200, ANSWER)]
    examples, counts, failures = asked(settings, [GOLD, OTHER])
    assert entities(examples)[1] == [("تبریز", "LOC")]
    assert counts["kept"] == 1 and not failures


@pytest.mark.parametrize("reply", [(0, ""), (429, "")])
def test_it_tries_again(server, settings, reply):
    server.replies = [reply, (200, ANSWER)]
    limit = {"components.llm.model.settings.max_request_time": 0.3}
    examples, _, failures = asked(settings, **limit)
    assert len(entities(examples)[0]) == 2
    assert not failures and len(server.asked) == 2


def test_an_endpoint_that_never_answers(server, settings):
    server.replies = [(401, {"error": {"message": "Incorrect API key"}})]
    with pytest.raises(ConfigError, match="Not one answer: .*Incorrect API key"):
        asked(settings, [GOLD] * 30)
    assert len(server.asked) == 10


def test_scores_of_all_corpora(server, settings):
    docs = [GOLD, doc("علی به تبریز رفت", "B-PER O O O", "tweet"), OTHER]
    examples, scores = score_chatbot(docs, [], 0, 0, settings)
    assert [eg.reference._.domain for eg in examples] == ["news", "news", "tweet"]
    assert scores["per_domain"]["news"]["f"] == 1.0
    assert scores["per_domain"]["tweet"]["f"] == pytest.approx(2 / 3)
    assert scores["macro_by_head"]["formal"]["f"] == pytest.approx(5 / 6)
    assert scores["counts"] == {"prompt_tokens": 300, "completion_tokens": 60}
    assert scores["failures"] == {}


def test_command(server, settings, tmp_path):
    corpus, path = tmp_path / "toy", tmp_path / "llm.json"
    write_toy_corpus(corpus, ["train", "test"])
    args = ["stand-in", "--corpus", str(corpus), "--metrics", str(path), "--limit-groups", "1"]
    args += ["--paths.answers", str(tmp_path / "answers.sqlite")]
    result = CliRunner().invoke(app, args, env={"OPENAI_BASE_URL": server.url})
    assert result.exit_code == 0, result.output
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text and "a-key" not in text
    report = json.loads(text)
    assert (report["model"], report["endpoint"], report["shots"]) == ("stand-in", "127.0.0.1", 5)
    for mode in ("zero_shot", "few_shot"):
        assert report[mode]["micro"]["n_docs"] == 24
        assert report[mode]["counts"]["prompt_tokens"] == 2400 and not report[mode]["failures"]
        assert {name: len(own) for name, own in report["doc_counts"][mode].items()} == {
            "news": 8,
            "sports": 8,
            "travel": 8,
        }
    assert {name for name in report["zero_shot"]["per_domain"]} <= set(DOMAINS)
    assert "prompt_tokens" in result.output


@pytest.mark.parametrize("url", ["", "somewhere"])
def test_no_endpoint(url):
    result = CliRunner().invoke(app, ["gpt", "--endpoint", url])
    assert result.exit_code == 1
    assert "OPENAI_BASE_URL" in result.stderr and len(result.stderr.splitlines()) == 1
