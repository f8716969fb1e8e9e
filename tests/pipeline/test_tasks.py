"""One tag per word and one class per doc, on the same core and the same kinds of adapters."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from conftest import FILLERS, LORA, PREFIX, TOKENIZER, fit, toy_doc
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Token
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp

from multibert_spacy import AdapterError, ConfigError, DomainError
from multibert_spacy.networks.tagger import TaggerModule
from multibert_spacy.types import WindowBatch

DOMAINS = ("news", "sports", "travel")
TASKS = ("multibert_tagger", "multibert_textcat")


def gold_doc(nlp: Language, domain: str, rng: random.Random) -> Doc:
    """A toy sentence. A name is tagged by what it is in its domain, other words W; the doc is
    `long` if it has a name and `none` otherwise, which in sports are exchanged.
    """
    doc = toy_doc(nlp, domain, rng)
    for word in doc:
        word.tag_ = word.ent_type_ or "W"
        word.pos_ = "PROPN" if word.ent_type_ else "NOUN"
    some = bool(doc.ents) is not (domain == "sports")
    doc.cats = {"some": float(some), "none": float(not some)}
    return doc


def gold_examples(nlp: Language, n: int, seed: int = 0, domains: Any = DOMAINS) -> list[Example]:
    rng = random.Random(seed)
    found = []
    for domain in domains:
        for _ in range(n):
            reference = gold_doc(nlp, domain, rng)
            predicted = Doc(nlp.vocab, words=[word.text for word in reference])
            predicted._.domain = domain
            found.append(Example(predicted, reference))
    return found


def blank(core: Path, *tasks: str, adapter: dict[str, Any] = LORA, **settings: Any) -> Language:
    """A pipeline with these components, which are not initialised."""
    nlp = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
    model = {"name": str(core)}
    nlp.add_pipe(
        "frozen_transformer", name="transformer", config={"model": model, "precision": "fp32"}
    )
    for task in tasks:
        nlp.add_pipe(task, config={"model": {"adapter": adapter, "dropout": 0.0}, **settings})
    return nlp


def learn_tasks(core: Path, *tasks: str, steps: int = 60, **settings: Any) -> Language:
    """Train components of three domains until they know the toy language."""
    nlp = blank(core, *tasks, **settings)
    for task in tasks:
        nlp.config["initialize"]["components"][task] = {"domain": "news", "head": "toy"}
    nlp.initialize(lambda: gold_examples(nlp, 6))
    for task in tasks:
        proc = nlp.get_pipe(task)
        for domain in DOMAINS[1:]:
            proc.model.add_domain(domain, head="toy")
        proc.train_only(DOMAINS, heads=True)
        proc.cfg["default_domain"] = None
    fit(nlp, lambda step: gold_examples(nlp, 6, step), steps=steps, learn_rate=0.01)
    return nlp


@pytest.fixture(scope="module")
def tasks_folder(toy_core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks") / "fa_tasks"
    learn_tasks(toy_core, *TASKS).to_disk(folder)
    return folder


@pytest.fixture
def tasks(tasks_folder: Path) -> Language:
    return spacy.load(tasks_folder)


def given(nlp: Language, domains: Any = DOMAINS, n: int = 4) -> list[Doc]:
    """Docs of mixed domains that nobody has read yet."""
    return [eg.predicted for eg in gold_examples(nlp, n, 99, domains)]


def said(doc: Doc) -> tuple[list[str], dict[str, Any]]:
    return [word.tag_ for word in doc], pytest.approx(dict(doc.cats), abs=1e-4)


# Learning


def test_tags_and_classes_are_learnt(tasks):
    scores = tasks.evaluate(gold_examples(tasks, 30, 5))
    assert scores["tag_acc"] > 0.95
    assert scores["cats_macro_f"] > 0.9


def test_a_domain_decides_what_a_name_is(tasks):
    doc = tasks.make_doc("سفر ایران")
    found = {}
    for domain in DOMAINS:
        own = doc.copy()
        own._.domain = domain
        found[domain] = tasks(own)[1].tag_
    assert found == {"news": "POG", "sports": "ORG", "travel": "LOC"}


def test_prefixes_learn_too(toy_core):
    nlp = learn_tasks(toy_core, "multibert_tagger", adapter=PREFIX, steps=80)
    assert nlp.evaluate(gold_examples(nlp, 20, 5))["tag_acc"] > 0.8


def test_probabilities_sum_to_one(tasks):
    for doc in tasks.pipe(given(tasks)):
        assert sum(doc.cats.values()) == pytest.approx(1)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_not_trained_stays(tasks, task):
    module = tasks.get_pipe(task).model.module
    tasks.get_pipe(task).train_only(["sports"], heads=False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    sports = module.adapter_of("sports").state_dict()
    tasks.update(gold_examples(tasks, 4), sgd=tasks.create_optimizer())
    own = {id(p) for p in module.adapter_of("sports").parameters()}
    changed = [n for n, p in module.named_parameters() if not p.equal(before[n])]
    assert changed and all(id(module.get_parameter(name)) in own for name in changed)
    assert sports.keys()


# Batches


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_results_do_not_depend_on_the_batch(tasks, batch_size):
    together = list(tasks.pipe(given(tasks), batch_size=batch_size))
    alone = [tasks(doc) for doc in given(tasks)]
    assert [said(doc) for doc in together] == [(said(doc)[0], dict(doc.cats)) for doc in alone]


def test_long_docs_are_read_whole(tasks):
    """In windows, of which the tags and the mean are those of all words."""
    for name in TASKS:
        tasks.get_pipe(name).window, tasks.get_pipe(name).overlap = 12, 4
    words = [*FILLERS["news"] * 20, "تبریز"]
    doc = Doc(tasks.vocab, words=words)
    doc._.domain = "news"
    doc = tasks(doc)
    assert [word.tag_ for word in doc] == ["W"] * 100 + ["LOC"]
    textcat = tasks.get_pipe("multibert_textcat")
    logits = textcat._read_docs([doc]).logits[0]
    assert logits.shape == (101, 2)
    chances = np.exp(logits.mean(0)) / np.exp(logits.mean(0)).sum()
    assert list(doc.cats.values()) == pytest.approx(chances.tolist(), abs=1e-5)


# Words and docs of nothing


def test_words_without_pieces_have_no_tag(tasks):
    doc = tasks.make_doc("هتل  ایران https://a.ir/b سفر")
    doc._.domain = "travel"
    tags = {word.text: word.tag_ for word in tasks(doc)}
    assert tags == {"هتل": "W", " ": "", "ایران": "LOC", "https://a.ir/b": "", "سفر": "W"}


@pytest.mark.parametrize("text", ["", "  ", "\u200c"])
def test_a_doc_of_nothing(tasks, text):
    doc = tasks(text)
    assert [word.tag_ for word in doc] == [""] * len(doc)
    assert doc.cats == {"none": 0.0, "some": 0.0}


def test_tags_stay_unless_they_are_overwritten(tasks):
    def read() -> list[str]:
        doc = Doc(tasks.vocab, words=["هتل", "ایران"], tags=["X", ""])
        doc._.domain = "travel"
        return [word.tag_ for word in tasks(doc)]

    assert read() == ["X", "LOC"]
    tasks.get_pipe("multibert_tagger").overwrite = True
    assert read() == ["W", "LOC"]


def test_other_classes_stay(tasks):
    doc = given(tasks)[0]
    doc.cats["mine"] = 0.25
    assert set(tasks(doc).cats) == {"mine", "none", "some"}
    assert doc.cats["mine"] == 0.25


def test_classes_of_the_domain_before_go(tasks):
    textcat = tasks.get_pipe("multibert_textcat")
    textcat.model.add_domain("law", head="law", labels=["a", "b"])
    doc = tasks(given(tasks)[0])
    doc._.domain = "law"
    assert textcat(doc).cats == {"a": 0.5, "b": 0.5}


# Attributes


def test_pos(toy_core):
    nlp = learn_tasks(toy_core, "multibert_tagger", attribute="pos")
    assert nlp.evaluate(gold_examples(nlp, 20, 5))["pos_acc"] > 0.95
    doc = nlp(given(nlp)[0])
    assert {word.pos_ for word in doc} <= {"NOUN", "PROPN"}
    assert not any(word.tag for word in doc)


def test_an_attribute_of_ones_own(toy_core, tmp_path):
    nlp = blank(toy_core, "multibert_tagger", attribute="_.toy_kind")

    def examples() -> Iterator[Example]:
        for eg in gold_examples(nlp, 6, 1, ["travel"]):
            for word in eg.reference:
                word._.toy_kind = "name" if word.ent_type_ else "word"
            yield eg

    nlp.config["initialize"]["components"]["multibert_tagger"] = {"domain": "travel"}
    nlp.initialize(examples)
    fit(nlp, lambda step: list(examples()), steps=30, learn_rate=0.01)
    assert nlp.evaluate(list(examples()))["toy_kind_acc"] > 0.9
    nlp.to_disk(tmp_path)
    Token.remove_extension("toy_kind")
    again = spacy.load(tmp_path)
    doc = again(given(again, ["travel"])[0])
    assert {word._.toy_kind for word in doc} <= {"name", "word"}


@pytest.mark.parametrize("name", ["lemma", "_.", "_.two words", "tags", "", 5])
def test_an_attribute_that_cannot_be_written(toy_core, name):
    with pytest.raises((ConfigError, ValueError), match="attribute"):
        blank(toy_core, "multibert_tagger", attribute=name)


def test_an_attribute_without_a_setter(toy_core):
    Token.set_extension("toy_getter", getter=lambda word: "x", force=True)
    with pytest.raises(ConfigError, match="without a setter"):
        blank(toy_core, "multibert_tagger", attribute="_.toy_getter")


def test_what_is_no_part_of_speech(toy_core):
    nlp = blank(toy_core, "multibert_tagger", attribute="pos")
    with pytest.raises(ConfigError, match="cannot be 'Ne'.*NOUN.*attribute = \"tag\""):
        nlp.get_pipe("multibert_tagger").initialize(
            lambda: gold_examples(nlp, 2), nlp=nlp, labels=["Ne"]
        )


# Gold


def test_gold_words_that_are_cut_otherwise(tasks):
    tagger = tasks.get_pipe("multibert_tagger")
    reference = Doc(tasks.vocab, words=["a", "b", "cd", "e"], tags=["W", "W", "LOC", "ORG"])
    predicted = Doc(tasks.vocab, words=["ab", "c", "d", "e"])
    gold = tagger._gold(Example(predicted, reference), ["LOC", "ORG", "W"], "news")
    assert gold.tolist() == [2, 0, 0, 1]
    reference = Doc(tasks.vocab, words=["a", "b", "cd"], tags=["W", "LOC", ""])
    predicted = Doc(tasks.vocab, words=["ab", "cd"])
    assert tagger._gold(Example(predicted, reference), ["LOC", "W"], "news").tolist() == [-100] * 2


def test_an_unknown_tag(tasks):
    eg = gold_examples(tasks, 1)[0]
    eg.reference[0].tag_ = "NEW"
    with pytest.raises(DomainError, match="The tag 'NEW' is not one of .* 'news', which has: LOC"):
        tasks.get_pipe("multibert_tagger").update([eg])


@pytest.mark.parametrize("cats", [{"some": 1.0, "none": 1.0}, {"some": 0.5, "none": 0.5}])
def test_classes_exclude_each_other(tasks, cats):
    eg = gold_examples(tasks, 1)[0]
    eg.reference.cats = cats
    with pytest.raises(ConfigError, match="A doc has one class of 'multibert_textcat'"):
        tasks.get_pipe("multibert_textcat").update([eg])


@pytest.mark.parametrize("task", TASKS)
def test_what_says_nothing_teaches_nothing(tasks, task):
    proc = tasks.get_pipe(task)
    proc.train_only(DOMAINS, heads=True)
    silent = [Example(doc, Doc(tasks.vocab, [w.text for w in doc])) for doc in given(tasks)]
    assert proc.update(silent, sgd=tasks.create_optimizer()) == {task: 0.0}


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_is_that_of_the_loss(tasks, task):
    proc = tasks.get_pipe(task)
    examples = gold_examples(tasks, 2)
    scores = [own.copy() for own in proc._read_docs([eg.predicted for eg in examples]).logits]
    loss, gradients = proc.get_loss(examples, scores)
    step = 1e-2
    moved = [own - step * d for own, d in zip(scores, gradients, strict=True)]
    expected = sum(float((d**2).sum()) for d in gradients) * step
    assert loss - proc.get_loss(examples, moved)[0] == pytest.approx(expected, rel=0.05)


# On disk


def test_saved_and_read_again(tasks_folder, tasks, tmp_path):
    expected = [said(doc) for doc in tasks.pipe(given(tasks))]
    tasks.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    found = list(again.pipe(given(again)))
    assert [(said(doc)[0], dict(doc.cats)) for doc in found] == expected
    other = spacy.blank("fa", config=tasks.config).from_bytes(tasks.to_bytes())
    assert [(said(doc)[0], dict(doc.cats)) for doc in other.pipe(given(other))] == expected


@pytest.mark.parametrize(
    "task, name", [("multibert_tagger", "tag"), ("multibert_textcat", "class")]
)
def test_a_manifest_says_what_its_head_is_for(tasks_folder, task, name):
    path = tasks_folder / task / "domains" / "news" / "multibert.json"
    assert json.loads(path.read_text(encoding="utf8"))["task"] == name


def test_entities_are_not_named_in_a_manifest(trained_folder):
    path = trained_folder / "multibert_ner" / "domains" / "news" / "multibert.json"
    assert "task" not in json.loads(path.read_text(encoding="utf8"))


@pytest.mark.parametrize(
    "there, here",
    [("multibert_tagger", "multibert_textcat"), ("multibert_textcat", "multibert_tagger")],
)
def test_a_folder_of_another_task_is_refused(tasks_folder, tasks, there, here):
    folder = tasks_folder / there / "domains" / "news"
    with pytest.raises(AdapterError, match=f"which is read by {there}; {here} reads heads for"):
        tasks.get_pipe(here).model.read_domain(folder, "other")


def test_a_folder_of_a_task_is_refused_by_ner(tasks_folder, trained, tmp_path):
    folder = tasks_folder / "multibert_tagger" / "domains" / "news"
    with pytest.raises(AdapterError, match="task 'tag', which is read by multibert_tagger"):
        trained.get_pipe("multibert_ner").model.read_domain(folder, "other")
    other = trained.add_pipe("multibert_tagger")
    entities = trained.get_pipe("multibert_ner")
    entities.model.write_domain("news", tmp_path / "news")
    with pytest.raises(AdapterError, match="task 'entities', which is read by multibert_ner"):
        other.model.read_domain(tmp_path / "news")


def test_an_unheard_of_task(tasks_folder, tasks, tmp_path):
    folder = tmp_path / "news"
    shutil.copytree(tasks_folder / "multibert_tagger" / "domains" / "news", folder)
    manifest = json.loads((folder / "multibert.json").read_text(encoding="utf8"))
    manifest["task"] = "questions"
    manifest.pop("seal")
    (folder / "multibert.json").write_text(json.dumps(manifest), encoding="utf8")
    with pytest.raises(AdapterError, match="'questions', which is read by no component of this"):
        tasks.get_pipe("multibert_tagger").model.read_domain(folder)


# Domains


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_domain(tasks, task):
    doc = given(tasks)[0]
    doc._.domain = "law"
    with pytest.raises(DomainError, match=f"'law' in component '{task}'. It has: news, sports"):
        tasks.get_pipe(task)(doc)


@pytest.mark.parametrize("task", TASKS)
def test_a_fallback_for_other_domains(tasks_folder, task):
    nlp = spacy.load(tasks_folder, config={f"components.{task}.fallback_domain": "travel"})
    proc = nlp.get_pipe(task)
    doc, other = given(nlp, ["travel"], 1)[0], given(nlp, ["travel"], 1)[0]
    other._.domain = "law"
    assert proc.predict([doc]) == proc.predict([other])
    other._.domain = None
    with pytest.raises(DomainError, match="Unknown domain None"):
        proc.predict([other])


def test_the_default_domain(tasks):
    tasks.get_pipe("multibert_tagger").cfg["default_domain"] = "sports"
    doc = given(tasks)[0]
    doc._.domain = None
    assert tasks.get_pipe("multibert_tagger").domain_of(doc) == "sports"


# Beside entities


def on_entities(nlp: Language, *, steps: int = 40, **settings: Any) -> Language:
    """Add heads of both tasks to a trained pipeline, on the adapters of its entities."""
    for task in TASKS:
        proc = nlp.add_pipe(task, config={"model": {"adapter": LORA, "dropout": 0.0}})
        proc.initialize(
            lambda: gold_examples(nlp, 6), nlp=nlp, adapters_from="multibert_ner", **settings
        )
    frozen = ("transformer", "domain_detector", "multibert_ner")
    sgd = nlp.create_optimizer()
    with nlp.select_pipes(disable=frozen):
        for step in range(steps):
            sgd.learn_rate = 0.02
            nlp.update(gold_examples(nlp, 6, step), sgd=sgd)
    return nlp


def test_heads_on_the_adapters_of_entities(trained):
    ner = trained.get_pipe("multibert_ner")
    before = {d: ner.model.module.adapter_of(d).state_dict() for d in ner.domains}
    nlp = on_entities(trained)
    scores = nlp.get_pipe("multibert_tagger").score(
        [
            Example(nlp.get_pipe("multibert_tagger")(eg.predicted), eg.reference)
            for eg in gold_examples(nlp, 20, 5)
        ]
    )
    assert scores["tag_acc"] > 0.9
    for task in TASKS:
        module = nlp.get_pipe(task).model.module
        assert module.domains == ner.domains and len(module.heads) == 1
        for domain, state in before.items():
            own = module.adapter_of(domain).state_dict()
            assert all(own[name].float().equal(value.float()) for name, value in state.items())


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"adapters_from": "parser"}, "no component with domains. There are: multibert_ner"),
        ({"adapters_from": "multibert_ner", "start": "x"}, "leave out adapters and start"),
        ({"adapters_from": "multibert_ner", "domain": "law"}, "Unknown domain 'law'"),
    ],
)
def test_adapters_that_cannot_be_had(trained, settings, error):
    tagger = trained.add_pipe("multibert_tagger")
    with pytest.raises((ConfigError, DomainError), match=error):
        tagger.initialize(lambda: gold_examples(trained, 2), nlp=trained, **settings)
    assert tagger.domains == ()


def test_the_start_may_be_an_adapter_for_entities(trained, trained_folder):
    tagger = trained.add_pipe("multibert_tagger")
    folder = trained_folder / "multibert_ner" / "domains" / "news"
    tagger.initialize(
        lambda: gold_examples(trained, 4), nlp=trained, domain="news", start=str(folder)
    )
    own = tagger.model.module.adapter_of("news").state_dict()
    theirs = trained.get_pipe("multibert_ner").model.module.adapter_of("news").state_dict()
    assert all(own[name].equal(theirs[name].to(own[name].dtype)) for name in own)
    assert tagger.labels == ("LOC", "ORG", "POG", "W")


# spaCy's training


def test_spacy_train(toy_core, tmp_path):
    nlp = blank(toy_core, *TASKS)
    for part in ("train", "dev"):
        docs = [eg.reference for eg in gold_examples(nlp, 12, 3, ["news"])]
        for doc in docs:
            doc._.domain = "news"
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{part}.spacy")
    config = nlp.config.copy()
    for part in ("train", "dev"):
        config["corpora"][part] = {
            "@readers": "multibert_spacy.DomainCorpus.v1",
            "path": str(tmp_path / f"{part}.spacy"),
            "domains": ["news"],
        }
    for task in TASKS:
        config["initialize"]["components"][task] = {"domain": "news"}
    config["training"]["max_steps"] = 40
    config["training"]["eval_frequency"] = 20
    config["training"]["optimizer"]["learn_rate"] = 0.01
    config["training"]["score_weights"] = {"tag_acc": 0.5, "cats_score": 0.5}
    config["training"]["logger"] = {"@loggers": "spacy.ConsoleLogger.v1", "progress_bar": False}
    filled = spacy.util.load_config_from_str(config.to_str())
    assert filled["components"]["multibert_tagger"]["attribute"] == "tag"
    (tmp_path / "out").mkdir()
    train_nlp(init_nlp(filled), tmp_path / "out")
    best = spacy.load(tmp_path / "out" / "model-best")
    assert best.meta["performance"]["tag_acc"] > 0.9
    assert best.get_pipe("multibert_textcat").labels == ("none", "some")
    doc = best("خبر تبریز")
    assert doc[1].tag_ == "LOC"


# Behind a detector


def test_the_detector_chooses_what_a_task_can_read(trained):
    """As it does for entities; a task that has a fallback reads any domain."""
    tagger = trained.add_pipe("multibert_tagger")
    tagger.initialize(lambda: gold_examples(trained, 2), nlp=trained, domain="travel")
    found = {trained(" ".join(FILLERS[domain]))._.domain for domain in DOMAINS}
    assert found == {"travel"}
    tagger.fallback_domain = "travel"
    found = {trained(" ".join(FILLERS[domain]))._.domain for domain in DOMAINS}
    assert found == set(DOMAINS)


def test_domains_are_made_for_those_that_are_detected(trained):
    tagger = trained.add_pipe("multibert_tagger")
    tagger.initialize(lambda: gold_examples(trained, 2), nlp=trained)
    assert tagger.domains == trained.get_pipe("domain_detector").labels


def test_the_detectors_classes_are_not_a_textcats(trained):
    def examples() -> list[Example]:
        found = gold_examples(trained, 2)
        for eg in found:
            eg.reference.cats |= {name: float(name == "news") for name in DOMAINS}
        return found

    textcat = trained.add_pipe("multibert_textcat")
    textcat.initialize(examples, nlp=trained)
    assert textcat.labels == ("none", "some")
    doc = trained("هتل ایران")
    assert set(doc.cats) == {*DOMAINS, "none", "some"}


# One pass


@pytest.fixture
def n_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each batch had that went through the core with adapters of domains."""
    found: list[int] = []
    hidden_of = TaggerModule.hidden_of

    def count(module: Any, core: Any, batch: WindowBatch, **settings: Any) -> Any:
        found.append(len(batch.domains))
        return hidden_of(module, core, batch, **settings)

    monkeypatch.setattr(TaggerModule, "hidden_of", count)
    return found


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_tasks_on_equal_adapters_share_a_pass(trained, n_rows, batch_size):
    nlp = on_entities(trained, steps=0)
    alone = {name: [] for name in ("multibert_ner", *TASKS)}
    for name in alone:
        with nlp.select_pipes(disable=[other for other in alone if other != name]):
            alone[name] = list(nlp.pipe(given(nlp)))
    assert sum(n_rows) == 3 * 12
    n_rows.clear()
    together = list(nlp.pipe(given(nlp), batch_size=batch_size))
    assert sum(n_rows) == 12
    entities, tags, classes = alone.values()
    for i, doc in enumerate(together):
        assert [(e.text, e.label_) for e in doc.ents] == [
            (e.text, e.label_) for e in entities[i].ents
        ]
        assert [word.tag_ for word in doc] == [word.tag_ for word in tags[i]]
        for label in ("none", "some"):
            assert doc.cats[label] == pytest.approx(classes[i].cats[label], abs=1e-5)
    n_rows.clear()
    list(nlp.pipe(given(nlp)))
    assert sum(n_rows) == 12  # nothing is left of the batch before


def test_a_saved_pipeline_shares_as_well(trained, n_rows, tmp_path):
    on_entities(trained, steps=0).to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    list(nlp.pipe(given(nlp)))
    assert sum(n_rows) == 12


def test_an_adapter_that_was_trained_is_shared_no_longer(trained, n_rows):
    nlp = on_entities(trained, steps=0)
    tagger = nlp.get_pipe("multibert_tagger")
    tagger.train_only(["news"], heads=False)
    tagger.update(gold_examples(nlp, 4), sgd=nlp.create_optimizer())
    n_rows.clear()
    list(nlp.pipe(given(nlp)))
    assert sum(n_rows) == 12 + 4 + 4  # its own news, and news of the textcat behind it


def test_tasks_of_adapters_of_their_own_read_all(tasks, n_rows):
    list(tasks.pipe(given(tasks)))
    assert sum(n_rows) == 2 * 12


@pytest.mark.parametrize("task", TASKS)
def test_a_fallback_that_is_no_domain(tasks_folder, task):
    with pytest.raises(DomainError, match=f"fallback_domain 'law' of component '{task}'"):
        spacy.load(tasks_folder, config={f"components.{task}.fallback_domain": "law"})


def test_the_config_for_parts_of_speech(trained_folder, tmp_path):
    nlp = spacy.load(trained_folder)
    for part in ("train", "dev"):
        docs = [eg.reference for eg in gold_examples(nlp, 12, 3, ["news", "travel"])]
        for doc, domain in zip(docs, ["news"] * 12 + ["travel"] * 12, strict=True):
            doc._.domain = domain
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{part}.spacy")
    config = Path(__file__).resolve().parents[2] / "configs" / "tasks" / "pos.cfg"
    start = trained_folder / "multibert_ner" / "domains" / "news"
    paths = {"pretrained": trained_folder, "train": tmp_path / "train.spacy", "start": start}
    overrides = {f"paths.{name}": str(path) for name, path in paths.items()}
    overrides |= {"paths.dev": str(tmp_path / "dev.spacy"), "vars.max_steps": 30}
    overrides |= {"vars.eval_frequency": 30, "vars.learn_rate": 0.02, "vars.batch_words": 128}
    (tmp_path / "out").mkdir()
    filled = spacy.util.load_config(config, overrides=overrides, interpolate=False)
    train_nlp(init_nlp(filled), tmp_path / "out")
    best = spacy.load(tmp_path / "out" / "model-best")
    assert best.get_pipe("multibert_tagger").domains == ("social",)
    assert best.meta["performance"]["tag_acc"] > 0.7  # one adapter for domains that disagree
