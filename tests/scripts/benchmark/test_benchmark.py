"""The benchmark on the toy core: the shape of its result, its checks and its tables."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
import torch
from rich.progress import Progress
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from scripts.benchmark import __main__ as script
from scripts.benchmark import fresh, timing
from scripts.benchmark.build import calibrated, engines
from scripts.benchmark.systems import LIMIT, System, choose, systems
from scripts.benchmark.texts import Text, domain_names, given_domains, mix
from scripts.benchmark.timing import summary
from scripts.build.toy_core import build_toy_core
from scripts.domains import DOMAINS

ROOT = Path(__file__).parents[3]
WORDS = "علی امروز از تهران به شیراز رفت و با دوست خود در بازار بزرگ شهر قدم زد".split()
TEXTS = [
    Text(" ".join(WORDS[i % 7 :] * (1 + 3 * (i % 3))), name)
    for i, name in enumerate([*DOMAINS, "news", "art"])
]

FAST = "ours lora 12, detected by lora, OpenVINO bf16"
HELD_BACK = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper() != "ALL"


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "core"
    build_toy_core(folder)
    return str(folder)


@pytest.fixture
def in_process(monkeypatch):
    """Processes of their own would take seconds each."""

    def call(function, kwargs, *, threads):
        value = function(**json.loads(json.dumps(kwargs)))
        return json.loads(json.dumps(value)), 1.0

    monkeypatch.setattr(fresh, "call", call)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def corpus(tmp_path):
    vocab = spacy.blank("fa").vocab
    docs = [Doc(vocab, words=text.text.split()) for text in TEXTS]
    for doc, text in zip(docs, TEXTS, strict=True):
        doc._.domain = text.domain
        doc.set_ents([], default="outside")
    (tmp_path / "toy" / "test").mkdir(parents=True)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "toy" / "test" / "toy.spacy")
    return tmp_path / "toy"


def one_of_a_kind(sizes):
    """Each way to tag, but of OpenVINO's graphs, which take seconds each, only a pair; none where
    its oneDNN is held back from what it finds in the processor.
    """
    fast = None if HELD_BACK else FAST
    return [own for own in systems(sizes) if own.engine == "torch" or own.name == fast]


@pytest.fixture
def no_garbage(monkeypatch):
    """Which takes half a second each time, behind so many tests."""
    monkeypatch.setattr(timing, "gc", SimpleNamespace(collect=lambda: None))


def test_the_whole_run(core, corpus, tmp_path, in_process, no_garbage, monkeypatch):
    monkeypatch.setattr(script, "systems", one_of_a_kind)
    metrics = tmp_path / "speed.json"
    monkeypatch.setattr(script, "N_TEXTS", 14)
    monkeypatch.setattr(script, "SIZES", (1, 12))
    torch.set_num_threads(1)
    options = ["--core", core, "--corpus", corpus, "--metrics", metrics, "--rounds", 1]
    done = CliRunner().invoke(script.app, [*map(str, options)])
    assert done.exit_code == 0, done.output
    report = json.loads(metrics.read_text("utf8"))
    alone = {name for name in report["systems"] if name.startswith("ours lora 12")}
    assert report["latency"].keys() == alone and "ours lora 12, detected by mixture" in alone
    for own in report["latency"].values():
        assert 0 < own["p50_ms"] <= own["p99_ms"]
        assert list(own["texts_per_second"]) == ["1", "4", "16", "64", "256", "1000"]
    assert {"command", "commit", "seed", "corpus", "machine", "threads"} <= report.keys()
    bare = report["systems"][LIMIT]
    assert bare["texts_per_second"] * bare["seconds"] == pytest.approx(14, rel=0.01)
    names = [system.name for system in one_of_a_kind((1, 12))]
    assert list(report["systems"]) == names and len(names) == len(set(names))
    assert (FAST in names) == (bool(engines()) and not HELD_BACK)
    for name, own in report["systems"].items():
        assert own["seconds"] > 0 and own["found"] > 0, name
        assert own["ratio_range"][0] <= own["ratio"] <= own["ratio_range"][1]
        assert len(own["rounds"]) == 1
    assert report["systems"][LIMIT]["ratio"] == 1
    for adapter in ("lora", "prefix"):
        measured = report["memory"][adapter]
        assert measured["disk_mb_per_domain"] > 0
        assert list(measured["by_domains"]) == ["1", "12"]
        for own in measured["by_domains"].values():
            assert own["peak_mb"] == 1.0 and own["entities"] and own["resident_mb"]["tag"] > 0
            steps = {"import", "blank", "load", "tag"}
            assert own["seconds"].keys() == own["resident_mb"].keys() == steps


@pytest.mark.parametrize(
    "cpu, level, expected",
    [
        ("AMD EPYC", "avx2", "amd-epyc-avx2"),
        (
            "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            "amx_tile",
            "intel-xeon-platinum-8481c-amx-tile",
        ),
    ],
)
def test_a_file_is_named_after_processor_and_level(cpu, level, expected):
    assert script.slug({"cpu": cpu, "level": level}) == expected


def test_the_level_is_the_best_that_onednn_may_use(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert script.processor_level(["sse2", "avx2", "avx512f"]) == "avx512f"
    assert script.processor_level(["avx2", "avx512f", "avx512_bf16"]) == "avx512_bf16"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert script.processor_level(["avx2", "avx512f"]) == "AVX2-forced"


def test_bias_makes_the_answers_varied():
    logits = torch.randn(500, 5).numpy() + [9, 0, 0, 3, 0]
    tags = (logits + calibrated(logits)).argmax(axis=1)
    assert (tags == 0).mean() == pytest.approx(0.88, abs=0.01)
    assert set(tags) == set(range(5))


def test_a_process_of_its_own():
    """Its peak is told, but not where its parent's is higher, which Linux hands down."""
    with pytest.raises(fresh.FreshError, match="that of its parent"):
        fresh.call(fresh.peak_megabytes, {}, threads=1)
    with pytest.raises(fresh.FreshError, match="mean failed"):
        fresh.call(statistics.mean, {"wrong": 1}, threads=1)
    code = (
        "from types import SimpleNamespace as N; from scripts.benchmark import fresh\n"
        "function = N(__module__='statistics', __qualname__='mean')\n"
        "print(fresh.call(function, {'data': [1, 2]}, threads=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("(1.5, ")


def test_texts_are_seeded_and_in_runs_of_a_domain():
    vocab = spacy.blank("fa").vocab
    docs = [Doc(vocab, words=[name, str(i)]) for name in ("a", "b") for i in range(3)]
    for doc in docs:
        doc._.domain = doc[0].text
    texts = mix(docs, 60, seed=3)
    assert texts == mix(docs, 60, seed=3) != mix(docs, 60, seed=4)
    assert len(texts) == 60 and {text.domain for text in texts} == {"a", "b"}
    assert len({len(text.text.split()) for text in texts}) > 3
    for start in range(0, 60, 8):
        assert len({text.domain for text in texts[start : start + 8]}) == 1
    for text in texts:
        assert {word for word in text.text.split() if word.isalpha()} == {text.domain}


def test_domains():
    assert domain_names(2) == ["news", "tweet"]
    assert len(set(domain_names(100))) == 100
    own = given_domains(TEXTS, domain_names(len(DOMAINS)))
    assert own == [text.domain for text in TEXTS]
    drawn = given_domains(TEXTS, domain_names(100))
    assert drawn == given_domains(TEXTS, domain_names(100)) and len(set(drawn)) > 5


def test_systems_are_chosen_by_name():
    names = [system.name for system in choose(systems(), "HF, prefix 12")]
    ours = [name for name in names if name.startswith("ours prefix 12")]
    assert len(ours) == (6 if engines() else 2)
    assert names == [LIMIT, "HF pipeline fp32", "HF pipeline bf16", *ours]
    with pytest.raises(ValueError, match="'nothing'"):
        choose(systems(), "nothing")


def test_the_limit_is_timed_around_every_few_systems(no_garbage, monkeypatch):
    """A machine that becomes slower with every run: a system's ratio is to the limit's nearest."""
    clock, order = [0.0], []

    def system(name):
        def run():
            order.append(name)
            clock[0] += len(order)
            return 1

        return System(name, "", lambda setup: run)

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    names = ["a", LIMIT, "b", "c", "d", "e"]
    setup = SimpleNamespace(texts=["x"], n_pieces=1)
    found = timing.time_systems(
        [system(name) for name in names], setup, rounds=1, progress=Progress(disable=True)
    )
    assert order == [LIMIT, "a", "b", "c", "d", LIMIT, "e", LIMIT] * 2
    assert found["a"]["rounds"] == [10.0]
    assert found["a"]["ratio"] == 10 / ((9 + 14) / 2)
    assert found["e"]["ratio"] == 15 / ((14 + 16) / 2)
    assert (found[LIMIT]["seconds"], found[LIMIT]["ratio"]) == (14, 1)


def test_ratios_are_of_the_same_round():
    found = summary([9.0, 2.0, 8.0, 3.0], [1.0, 1.0, 2.0, 2.0], n_texts=6, n_pieces=30)
    assert found["seconds"] == 3 and found["texts_per_second"] == 2
    assert found["pieces_per_second"] == 10 and found["first_seconds"] == 9
    assert found["ratio"] == 2 and found["ratio_range"] == [1.5, 4]
