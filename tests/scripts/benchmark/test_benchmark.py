"""The benchmark on the toy core: the shape of its result, its checks and its tables."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
import torch
from rich.console import Console
from rich.progress import Progress
from spacy.tokens import Doc
from typer.testing import CliRunner

from scripts.benchmark import __main__ as script
from scripts.benchmark import equality, fresh, timing
from scripts.benchmark import systems as systems_module
from scripts.benchmark.build import calibrated, engines, folder_of, load, write_pipelines
from scripts.benchmark.equality import Mismatch, check_alone, check_pipelines, compare, entities
from scripts.benchmark.stages import STAGES, Clock, measure_stages
from scripts.benchmark.systems import LIMIT, MANY, Setup, System, choose, systems
from scripts.benchmark.table import print_report, readme_tables
from scripts.benchmark.texts import Text, domain_names, given_domains, mix, read_texts
from scripts.benchmark.timing import summary
from scripts.build.toy_core import build_toy_core
from scripts.domains import DOMAINS

ROOT = Path(__file__).parents[3]
WORDS = "علی امروز از تهران به شیراز رفت و با دوست خود در بازار بزرگ شهر قدم زد".split()
TEXTS = [
    Text(" ".join(WORDS[i % 7 :] * (1 + 3 * (i % 3))), name)
    for i, name in enumerate([*DOMAINS, "news", "art"])
]


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "core"
    build_toy_core(folder)
    return str(folder)


@pytest.fixture(scope="module")
def setup(core, tmp_path_factory):
    """A setup with a saved LoRA pipeline of twelve domains."""
    folder = tmp_path_factory.mktemp("pipelines")
    strings = [text.text for text in TEXTS]
    write_pipelines(core, [("lora", MANY, None)], strings, str(folder), 0)
    return Setup(core, TEXTS, folder)


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


def write_texts(path):
    rows = (json.dumps({"text": text, "domain": domain}) for text, domain in TEXTS)
    path.write_text("\n".join(rows), encoding="utf8")
    return str(path)


def test_the_whole_run(core, tmp_path, in_process, monkeypatch):
    """Without int8, whose graphs take seconds each."""
    monkeypatch.setattr(systems_module, "engines", lambda: engines()[:1])
    metrics = tmp_path / "speed.json"
    options = ["--core", core, "--texts", write_texts(tmp_path / "texts.jsonl")]
    options += ["--metrics", metrics, "--rounds", 1, "--threads", 1, "--sizes", "1,12"]
    done = CliRunner().invoke(script.app, [*map(str, options), "--train-steps", "2"])
    assert done.exit_code == 0, done.output
    report = json.loads(metrics.read_text("utf8"))
    assert {"command", "commit", "seed", "corpus", "machine", "threads"} <= report.keys()
    bare = report["systems"][LIMIT]
    assert bare["texts_per_second"] * bare["seconds"] == pytest.approx(len(TEXTS), rel=0.01)
    names = [system.name for system in systems((1, 12))]
    n_names = 20 if engines() else 15
    assert list(report["systems"]) == names and len(names) == len(set(names)) == n_names
    for name, own in report["systems"].items():
        assert own["seconds"] > 0 and own["found"] > 0, name
        assert own["ratio_range"][0] <= own["ratio"] <= own["ratio_range"][1]
        assert len(own["rounds"]) == 1
    assert report["systems"][LIMIT]["ratio"] == 1
    checked = report["equality"]["pipelines"]
    given = {"lora 12", "prefix 12"}
    detected = {"lora 12, detected by bow"}
    detected |= {f"{adapter} 12, detected by lora" for adapter in ("lora", "prefix")}
    assert set(checked) == given | detected
    assert all(own["entities"] for own in checked.values())
    assert list(report["stages"]) == [
        name for name in names if name.startswith("ours ") and "12" in name
    ]
    for own in report["stages"].values():
        assert sum(own["shares"].values()) == pytest.approx(1, abs=0.001)
    for adapter in ("lora", "prefix"):
        measured = report["memory"][adapter]
        assert measured["disk_mb_per_domain"] > 0
        assert list(measured["by_domains"]) == ["1", "12"]
        for own in measured["by_domains"].values():
            assert own["peak_mb"] == 1.0 and own["entities"] and own["resident_mb"]["tag"] > 0
            steps = {"import", "blank", "load", "tag"}
            assert own["seconds"].keys() == own["resident_mb"].keys() == steps
    training = report["training"]
    assert training["ours"]["first_loss"] == pytest.approx(training["peft"]["first_loss"], rel=0.1)
    assert training["ratio"] > 0 and training["ratio_shuffled"] > 0
    assert training["peft_shuffled"]["padding"] > training["peft"]["padding"]
    first = [training[name]["first_loss"] for name in ("ours_shuffled", "peft_shuffled")]
    assert first[0] == pytest.approx(first[1], rel=0.1)
    for name in names:
        assert name in readme_tables(report)


def test_a_mismatch_fails_the_command(core, tmp_path, in_process, monkeypatch):
    def other(nlp, texts, domains, *, batch_size=None):
        found = entities(nlp, texts, domains, batch_size=batch_size)
        return found[:-1] + [(None, [])] if batch_size == 1 else found

    monkeypatch.setattr(equality, "entities", other)
    options = ["--core", core, "--texts", write_texts(tmp_path / "texts.jsonl"), "--no-memory"]
    options += ["--metrics", tmp_path / "speed.json", "--no-train", "--systems", LIMIT]
    done = CliRunner().invoke(script.app, list(map(str, options)))
    assert done.exit_code == 1
    assert "lora 12, batch size 1: text 13" in done.output
    assert not (tmp_path / "speed.json").exists()


def test_another_adapter_is_a_mismatch(setup, tmp_path):
    """The check sees what it is for: one domain's adapter in the place of another's."""
    folder = tmp_path / "pipeline"
    shutil.copytree(folder_of(setup.folders, "lora", MANY), folder)
    nlp = load(folder, precision="fp32")
    domains = setup.domains(MANY)
    expected = entities(nlp, setup.strings, domains)
    check_alone(nlp, folder, expected, setup.strings, domains)
    saved = folder / "multibert_ner" / "domains"
    shutil.rmtree(saved / "sports")
    shutil.copytree(saved / "art", saved / "sports")
    with pytest.raises(Mismatch, match="sports alone: text 0 has"):
        check_alone(nlp, folder, expected, setup.strings, domains)


def test_equal_variants(setup):
    report = check_pipelines(setup, limit=5)
    assert report["texts"] == 5
    assert report["pipelines"]["lora 12"]["compared"] == [
        "batch size 1 and 64",
        "shuffled",
        "each domain alone",
    ]
    with pytest.raises(Mismatch, match="x: text 1 has"):
        compare("x", [("a", []), ("a", [])], [("a", []), ("b", [])])


def test_bias_makes_the_answers_varied():
    logits = torch.randn(500, 5).numpy() + [9, 0, 0, 3, 0]
    tags = (logits + calibrated(logits)).argmax(axis=1)
    assert (tags == 0).mean() == pytest.approx(0.88, abs=0.01)
    assert set(tags) == set(range(5))


def test_stages_count_what_is_inside_once(setup):
    nlp = setup.load("lora", MANY, None)
    found = measure_stages(nlp, setup.strings, setup.domains(MANY))
    assert set(found["shares"]) == set(STAGES) - {"detecting"}
    assert all(share > 0 for share in found["shares"].values())
    assert "make_doc" not in vars(nlp)

    clock = Clock()
    inner = clock.timed("inner", lambda: sum(range(200_000)))
    outer = clock.timed("outer", inner)
    outer()
    assert clock.seconds["inner"] > clock.seconds["outer"] > 0
    before = clock.seconds["inner"]
    clock.timed("closed", inner, closed=True)()
    assert clock.seconds["inner"] == before and clock.seconds["closed"] > 0


def test_a_process_of_its_own():
    """Its peak is told, but not where its parent's is higher, which Linux hands down."""
    with pytest.raises(fresh.FreshError, match="that of its parent"):
        fresh.call(fresh.peak_megabytes, {}, threads=1)
    with pytest.raises(fresh.FreshError, match="domain_names failed"):
        fresh.call(domain_names, {"wrong": 1}, threads=1)
    code = (
        "from types import SimpleNamespace as N; from scripts.benchmark import fresh\n"
        "function = N(__module__='scripts.benchmark.texts', __qualname__='domain_names')\n"
        "print(fresh.call(function, {'n_domains': 2}, threads=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("(['news', 'tweet'], ")


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


def test_texts_of_a_file(tmp_path):
    plain, lines = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("یک\n\nدو\nسه\n", encoding="utf8")
    assert read_texts(plain, 2) == [Text("یک"), Text("دو")]
    lines.write_text('{"text": "یک", "domain": "x"}\n{"text": 1}\n', encoding="utf8")
    assert read_texts(lines, 1) == [Text("یک", "x")]
    with pytest.raises(ValueError, match="line 2"):
        read_texts(lines, 0)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="no text"):
        read_texts(tmp_path / "empty.txt", 0)


def test_domains():
    assert domain_names(2) == ["news", "tweet"]
    assert len(set(domain_names(100))) == 100
    own = given_domains(TEXTS, domain_names(MANY))
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


def test_the_limit_is_timed_around_every_few_systems(monkeypatch):
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


REPORT = {
    "command": "python -m scripts.benchmark",
    "commit": "abc",
    "seed": 0,
    "threads": 2,
    "rounds": 5,
    "machine": {"cpu": "Some CPU"},
    "equality": {"texts": 160, "pipelines": {"lora 12": {"entities": 1200}}},
    "systems": {
        LIMIT: {
            "note": "forward pass",
            "seconds": 8.0,
            "texts_per_second": 80.0,
            "pieces_per_second": 4444.4,
            "ratio": 1.0,
            "ratio_range": [1.0, 1.0],
        },
    },
}


def test_tables_of_a_report():
    assert readme_tables(REPORT).splitlines() == [
        "640 texts of 56 pieces in the mean, 2 threads, medians of 5 rounds in turn in one "
        "process; time is divided by that of the bare core in bf16, timed before and after:",
        "",
        "| system | what it does | texts/s | pieces/s | time |",
        "| --- | --- | ---: | ---: | ---: |",
        "| bare bf16 | forward pass | 80.0 | 4,444 | 1.00 (1.00-1.00) |",
        "",
        "In the same run 1,200 entities of 160 texts are the same with batch sizes 1 and 64, in "
        "another order, and with each domain alone (fp32).",
        "",
        "From `python -m scripts.benchmark`, commit abc, seed 0, Some CPU.",
    ]
    steps = {"import": 1.0, "blank": 0.5, "load": 2.0, "tag": 3.0}
    own = {"seconds": steps, "resident_mb": steps, "peak_mb": 1234.0, "disk_mb": 70.0}
    speed = {"pieces_per_second": 4000.0, "peak_mb": 900.0, "first_loss": 1.0, "last_loss": 0.5}
    more = {
        "memory": {"lora": {"by_domains": {"12": own}, "disk_mb_per_domain": 2.6}},
        "stages": {"ours lora 12": {"shares": {"core": 0.9, "head": 0.1}}},
        "training": {
            "ours": speed,
            "peft": speed,
            "ours_shuffled": speed,
            "peft_shuffled": {**speed, "padding": 0.25},
            "ratio": 2.5,
            "ratio_shuffled": 3.5,
        },
    }
    text = readme_tables({**REPORT, **more})
    assert "| lora 12 | 1.0 + 0.5 + 2.0 | 2 | 3 | 1,234 | 70.0 | 2.60 |" in text
    assert "| core | 90.0 |\n| head | 10.0 |" in text
    assert "ours is 3.50 times as fast as PEFT where they are of texts of any lengths" in text
    assert "2.50 times where they are of texts of one length" in text
    assert "| ours, batches of texts of any lengths | 4,000 | 900 | 0 % | 1.000 → 0.500 |" in text
    assert "| PEFT and torch.autocast, the same batches | 4,000 | 900 | 25 % |" in text
    console = Console(record=True, width=200)
    print_report({**REPORT, **more}, console)
    assert "bare bf16" in console.export_text()
