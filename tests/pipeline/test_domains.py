"""Domains of the tagger: labels, heads, folders that are copied in and taken away."""

import json
import shutil

import pytest
import spacy
import torch
from conftest import (
    LABELS,
    LORA,
    NAMES,
    PREFIX,
    assert_same_predictions,
    entities,
    fit,
    toy_examples,
    toy_text,
)

from multibert_spacy.errors import AdapterError, ConfigError, DomainError, MultibertError
from multibert_spacy.serialization.manifest import write_json

TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in ("news", "sports", "travel")]


def tagged(nlp, domain):
    """Docs of one domain, with the detector left out."""
    pairs = [(text, {"domain": domain}) for text in TEXTS]
    return [doc for doc, _ in nlp.pipe(pairs, as_tuples=True)]


def weights(nlp, domain):
    module = nlp.get_pipe("multibert_ner").model.module
    return [p.detach().clone() for p in module.adapter_of(domain).parameters()]


def head_of(nlp, domain):
    module = nlp.get_pipe("multibert_ner").model.module
    return [p.detach().clone() for p in module.heads[module.head_name(domain)].parameters()]


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.fixture
def saved(trained_folder, tmp_path):
    """A copy of the saved pipeline, and the folder of its domains."""
    folder = tmp_path / "saved"
    shutil.copytree(trained_folder, folder)
    return folder, folder / "multibert_ner" / "domains"


# Labels


def test_labels(trained):
    tagger = trained.get_pipe("multibert_ner")
    assert sorted(tagger.domains) == ["news", "sports", "travel"]
    assert sorted(tagger.labels) == ["LOC", "ORG", "POG"]
    assert tagger.label_data == tagger.labels
    assert tagger.labels_of("travel") == ("LOC", "ORG")
    assert tagger.labels_of("news") == ("LOC", "ORG", "POG")
    with pytest.raises(DomainError, match="'sprots'.*news, sports, travel"):
        tagger.labels_of("sprots")


def test_labels_belong_to_heads(trained):
    tagger = trained.get_pipe("multibert_ner")
    assert tagger.add_label("POG") == 0
    with pytest.raises(DomainError, match="'EVE'"):
        tagger.add_label("EVE")
    assert sorted(tagger.labels) == ["LOC", "ORG", "POG"]


def test_domains_of_a_head_share_it(trained):
    module = trained.get_pipe("multibert_ner").model.module
    assert sorted(module.heads) == ["formal", "social"]
    assert module.head_name("travel") == module.head_name("sports") == "social"
    assert module.head_name("news") == "formal"


# Folders


def test_one_folder_per_domain(trained_folder):
    domains = trained_folder / "multibert_ner" / "domains"
    assert {path.name for path in domains.iterdir()} == set(NAMES)
    for path in domains.iterdir():
        assert {file.name for file in path.iterdir()} == {
            "adapter_config.json",
            "adapter_model.safetensors",
            "head.safetensors",
            "multibert.json",
        }
        manifest = json.loads((path / "multibert.json").read_text(encoding="utf8"))
        assert manifest["domain"] == path.name
        assert manifest["labels"] == LABELS["formal" if path.name == "news" else "social"]


def test_a_domain_is_removed_by_hand(saved, trained):
    folder, domains = saved
    shutil.rmtree(domains / "sports")
    nlp = spacy.load(folder)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "travel"]
    for domain in ("news", "travel"):
        assert_same_predictions(tagged(nlp, domain), tagged(trained, domain))
    with pytest.raises(DomainError, match="'sports'.*news, travel"):
        tagged(nlp, "sports")


def test_the_last_domain_of_a_head_takes_its_labels_along(saved):
    folder, domains = saved
    shutil.rmtree(domains / "news")
    assert sorted(spacy.load(folder).get_pipe("multibert_ner").labels) == ["LOC", "ORG"]


def test_a_domain_is_copied_in(saved, trained):
    folder, domains = saved
    shutil.copytree(domains / "sports", folder / "kept")
    shutil.rmtree(domains / "sports")
    shutil.copytree(folder / "kept", domains / "sports")
    nlp = spacy.load(folder)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "sports", "travel"]
    assert_same_predictions(tagged(nlp, "sports"), tagged(trained, "sports"))


@pytest.mark.parametrize("name", ["football", "فوتبال", "sports-2.1", "a" * 100])
def test_the_folder_s_name_is_the_domain_s(saved, trained, name):
    """A copy under another name is another domain, not the same one twice."""
    folder, domains = saved
    shutil.copytree(domains / "sports", domains / name)
    nlp = spacy.load(folder)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == sorted([*NAMES, name])
    found = [entities(doc) for doc in tagged(nlp, name)]
    assert found == [entities(doc) for doc in tagged(trained, "sports")]
    nlp.to_disk(folder)
    manifest = json.loads((domains / name / "multibert.json").read_text(encoding="utf8"))
    assert manifest["domain"] == name
    again = spacy.load(folder)
    assert_same_predictions(tagged(again, name), tagged(nlp, name))


@pytest.mark.parametrize("name", ["a b", "-x", "a" * 101])
def test_an_illegal_folder_name(saved, name):
    folder, domains = saved
    shutil.copytree(domains / "sports", domains / name)
    with pytest.raises(ConfigError, match="Illegal domain name"):
        spacy.load(folder)


def test_a_manifest_cannot_name_a_folder_elsewhere(saved, tmp_path):
    folder, domains = saved
    path = domains / "sports" / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8"))
    write_json(path, {**manifest, "domain": "../../../victim"})
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    nlp = spacy.load(folder)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "sports", "travel"]
    nlp.to_disk(folder)
    assert [path.name for path in (tmp_path / "victim").iterdir()] == ["file"]


def test_files_and_hidden_folders_beside_the_domains(saved):
    folder, domains = saved
    (domains / "README.md").write_text("hello", encoding="utf8")
    shutil.copytree(domains / "sports", domains / ".sports.draft")
    nlp = spacy.load(folder)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "sports", "travel"]
    nlp.to_disk(folder)
    assert (domains / "README.md").exists()


def test_a_folder_that_is_no_domain(saved):
    folder, domains = saved
    (domains / "notes").mkdir()
    with pytest.raises(AdapterError, match="notes"):
        spacy.load(folder)


def test_no_domain_is_left(saved):
    """Legal, and each doc says what is missing."""
    folder, domains = saved
    for path in domains.iterdir():
        shutil.rmtree(path)
    nlp = spacy.load(folder)
    assert nlp.get_pipe("multibert_ner").domains == ()
    assert nlp.get_pipe("multibert_ner").labels == ()
    with pytest.raises(DomainError, match="none yet"):
        nlp("سفر")


def test_saving_removes_domains_that_are_gone(saved):
    folder, domains = saved
    nlp = spacy.load(folder)
    nlp.get_pipe("multibert_ner").model.module.remove_domain("sports")
    (domains / "notes.txt").touch()
    nlp.to_disk(folder)
    assert {path.name for path in domains.iterdir()} == {"news", "travel", "notes.txt"}


def test_a_domain_is_read_into_a_running_pipeline(make_nlp, tmp_path):
    nlp = make_nlp()
    tagger = nlp.get_pipe("multibert_ner")
    expected = tagged(nlp, "sports")
    tagger.model.write_domain("sports", tmp_path / "sports")
    tagger.model.module.remove_domain("sports")
    assert sorted(tagger.domains) == ["news", "travel"]
    assert tagger.model.read_domain(tmp_path / "sports") == "sports"
    assert_same_predictions(tagged(nlp, "sports"), expected)


def test_domains_of_two_pipelines_with_the_same_head_name(make_nlp, tmp_path):
    """Another head of the same name is not mistaken for the one that is here."""
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    before = {domain: tagged(nlp, domain) for domain in ("travel", "sports")}
    tagger.model.write_domain("sports", tmp_path / "sports")
    with torch.no_grad():
        for p in tagger.model.module.heads["social"].parameters():
            p.add_(1.0)
    changed = tagged(nlp, "travel")
    tagger.model.read_domain(tmp_path / "sports")
    assert_same_predictions(tagged(nlp, "sports"), before["sports"])
    assert_same_predictions(tagged(nlp, "travel"), changed)
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    for domain in NAMES:
        assert_same_predictions(tagged(again, domain), tagged(nlp, domain))


def test_adapters_of_different_ranks(make_nlp, tmp_path):
    """Domains with settings of their own run in one batch and keep them on disk."""
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    small = make_nlp(detector=False, adapter={**LORA, "rank": 2, "first_layer": 1})
    small.get_pipe("multibert_ner").model.write_domain("sports", tmp_path / "sports")
    alone = tagged(small, "sports")
    tagger.model.module.remove_domain("sports")
    tagger.model.read_domain(tmp_path / "sports")
    assert_same_predictions(tagged(nlp, "sports"), alone)
    nlp.to_disk(tmp_path / "saved")
    pairs = [(text, {"domain": d}) for text in TEXTS for d in sorted(NAMES)]
    mixed = [doc for doc, _ in spacy.load(tmp_path / "saved").pipe(pairs, as_tuples=True)]
    assert_same_predictions([doc for doc in mixed if doc._.domain == "sports"], alone)


def test_kinds_do_not_mix(make_nlp, tmp_path):
    make_nlp(detector=False, adapter=PREFIX).to_disk(tmp_path / "prefix")
    make_nlp(detector=False).to_disk(tmp_path / "lora")
    domains = tmp_path / "lora" / "multibert_ner" / "domains"
    shutil.rmtree(domains / "sports")
    shutil.copytree(
        tmp_path / "prefix" / "multibert_ner" / "domains" / "sports", domains / "sports"
    )
    with pytest.raises(AdapterError, match="kind"):
        tagged(spacy.load(tmp_path / "lora"), "sports")


@pytest.mark.parametrize("content", ["null", "[1]", "3", "{"])
def test_a_damaged_cfg(saved, content):
    folder, _ = saved
    (folder / "multibert_ner" / "cfg").write_text(content, encoding="utf8")
    with pytest.raises(AdapterError, match="cfg is damaged"):
        spacy.load(folder)


def test_excluding_the_weights(make_nlp, tmp_path):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.to_disk(tmp_path / "a", exclude=["model"])
    assert {path.name for path in (tmp_path / "a").rglob("*")} == {"cfg", "domains"}
    before = tagged(nlp, "news")
    tagger.from_disk(tmp_path / "a", exclude=["model"])
    assert_same_predictions(tagged(nlp, "news"), before)


# start_domain: step two of the paper


@pytest.mark.parametrize("adapter", ["lora", "prefix"])
def test_a_domain_starts_as_a_copy(make_nlp, adapter):
    nlp = make_nlp(adapter={"lora": LORA, "prefix": PREFIX}[adapter], detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    before, head, expected = weights(nlp, "sports"), head_of(nlp, "sports"), tagged(nlp, "sports")
    tagger.start_domain("football", copy_from="sports", freeze_head=True)
    assert sorted(tagger.domains) == ["football", "news", "sports", "travel"]
    assert tagger.labels_of("football") == ("LOC", "ORG")
    assert same(weights(nlp, "football"), before)
    found = tagged(nlp, "football")
    assert [entities(doc) for doc in found] == [entities(doc) for doc in expected]

    def example(step):
        examples = toy_examples(nlp, "sports", 3, step)
        for eg in examples:
            eg.predicted._.domain = None  # the new domain is the default
        return examples

    fit(nlp, example, steps=3, learn_rate=0.01)
    assert not any(map(torch.equal, weights(nlp, "football"), before))
    assert same(weights(nlp, "sports"), before)
    assert same(head_of(nlp, "football"), head)


def test_the_head_is_tuned_too_if_wanted(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    head = head_of(nlp, "sports")
    tagger.start_domain("football", copy_from="sports", freeze_head=False)
    examples = toy_examples(nlp, "sports", 3)
    for eg in examples:
        eg.predicted._.domain = "football"
    fit(nlp, lambda _: examples, steps=2, learn_rate=0.01)
    assert not any(map(torch.equal, head_of(nlp, "football"), head))


def test_without_copy_from_the_default_domain_is_replaced(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.cfg["default_domain"] = "travel"
    before = weights(nlp, "travel")
    tagger.start_domain("hotels", copy_from=None, freeze_head=True)
    assert sorted(tagger.domains) == ["hotels", "news", "sports"]
    assert tagger.cfg["default_domain"] == "hotels"
    assert same(weights(nlp, "hotels"), before)


def test_the_only_domain_need_not_be_the_default(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    for domain in ("news", "sports"):
        tagger.model.module.remove_domain(domain)
    assert tagger.cfg["default_domain"] is None
    tagger.start_domain("hotels", copy_from=None, freeze_head=True)
    assert tagger.domains == ("hotels",)


def test_a_domain_may_keep_its_name(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    before = weights(nlp, "travel")
    tagger.start_domain("travel", copy_from="travel", freeze_head=True)
    assert sorted(tagger.domains) == ["news", "sports", "travel"]
    assert same(weights(nlp, "travel"), before)


@pytest.mark.parametrize(
    "domain, copy_from, error",
    [
        ("football", "sprots", "'sprots'.*news, sports, travel"),
        ("football", None, "None.*news, sports, travel"),
        ("foot/ball", "sports", "foot/ball"),
        ("..", "sports", "'..'"),
    ],
)
def test_wrong_domains(make_nlp, domain, copy_from, error):
    nlp = make_nlp(detector=False)
    with pytest.raises(MultibertError, match=error):
        nlp.get_pipe("multibert_ner").start_domain(domain, copy_from=copy_from, freeze_head=True)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["news", "sports", "travel"]


# initialize


def initialised(core, settings, *, config=None, domains=("travel",)):
    nlp = spacy.blank("fa")
    nlp.add_pipe(
        "frozen_transformer",
        name="transformer",
        config={"model": {"name": str(core)}, "precision": "fp32"},
    )
    nlp.add_pipe("multibert_ner", config={"model": {"adapter": LORA}, **(config or {})})
    nlp.config["initialize"]["components"]["multibert_ner"] = settings
    nlp.initialize(lambda: [eg for d in domains for eg in toy_examples(nlp, d, 4)])
    return nlp


@pytest.mark.parametrize(
    "settings, config, domain, head, default",
    [
        ({}, {}, "default", "default", "default"),
        ({"head": "social"}, {}, "social", "social", "social"),
        ({"domain": "travel"}, {}, "travel", "default", "travel"),
        ({"domain": "travel", "head": "social"}, {}, "travel", "social", "travel"),
        ({"head": "social"}, {"default_domain": "travel"}, "travel", "social", "travel"),
        ({"domain": "a"}, {"default_domain": "b"}, "a", "default", "b"),
    ],
)
def test_names_of_domain_and_head(bert_folder, settings, config, domain, head, default):
    tagger = initialised(bert_folder, settings, config=config).get_pipe("multibert_ner")
    assert tagger.domains == (domain,)
    assert tagger.model.module.head_name(domain) == head
    assert tagger.cfg["default_domain"] == default


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, ("LOC", "ORG", "POG")),
        ({"labels": ["ORG", "PER"]}, ("ORG", "PER")),
    ],
)
def test_labels_of_the_examples_or_given(bert_folder, settings, expected):
    nlp = initialised(bert_folder, settings, domains=("travel", "news"))
    assert nlp.get_pipe("multibert_ner").labels == expected


def test_no_labels_anywhere(bert_folder):
    with pytest.raises(DomainError, match="no labels"):
        initialised(bert_folder, {"labels": []})


def test_an_illegal_domain_name(bert_folder):
    with pytest.raises(ConfigError, match="a/b"):
        initialised(bert_folder, {"domain": "a/b"})


def test_what_is_initialised_is_trained(bert_folder):
    nlp = initialised(bert_folder, {"domain": "travel"})
    before, head = weights(nlp, "travel"), head_of(nlp, "travel")
    fit(nlp, lambda step: toy_examples(nlp, "travel", 2, step), steps=3, learn_rate=0.01)
    assert not same(weights(nlp, "travel"), before)
    assert not same(head_of(nlp, "travel"), head)


def test_what_is_loaded_is_trained_without_its_heads(trained):
    """Until `train_only` says otherwise."""
    before = {domain: weights(trained, domain) for domain in NAMES}
    heads = {domain: head_of(trained, domain) for domain in NAMES}

    def examples(step):
        return [eg for domain in sorted(NAMES) for eg in toy_examples(trained, domain, 2, step)]

    with trained.select_pipes(disable="domain_detector"):
        fit(trained, examples, steps=2, learn_rate=0.01)
    for domain in NAMES:
        assert not any(map(torch.equal, weights(trained, domain), before[domain]))
        assert same(head_of(trained, domain), heads[domain])


def test_a_new_head_starts_as_the_prior_of_the_tags(bert_folder):
    """Most words of the examples are O: untrained, nothing is an entity."""
    nlp = initialised(bert_folder, {"domain": "travel"})
    docs = list(nlp.pipe(TEXTS))
    assert [doc.ents for doc in docs] == [()] * len(TEXTS)
    rare = initialised(bert_folder, {"domain": "travel", "labels": ["LOC", "ORG", "PER"]})
    bias = rare.get_pipe("multibert_ner").model.module.heads["default"].linear.bias.tolist()
    # O, B-LOC, I-LOC, B-ORG, I-ORG, B-PER, I-PER
    assert bias[0] > bias[1] > bias[5] == bias[6]


def test_trained_adapters_are_read(trained_folder, trained, toy_core):
    folder = trained_folder / "multibert_ner" / "domains"
    nlp = initialised(toy_core, {"adapters": str(folder)})
    tagger = nlp.get_pipe("multibert_ner")
    assert sorted(tagger.domains) == ["news", "sports", "travel"]
    assert tagger.cfg["default_domain"] is None
    for domain in NAMES:
        expected = [entities(doc) for doc in tagged(trained, domain)]
        assert [entities(doc) for doc in tagged(nlp, domain)] == expected


def test_step_one_may_start_from_another_heads_adapter(trained_folder, trained, toy_core):
    start = trained_folder / "multibert_ner" / "domains" / "news"
    nlp = initialised(toy_core, {"head": "new", "start": str(start)})
    tagger = nlp.get_pipe("multibert_ner")
    assert tagger.domains == ("new",) and tagger.labels_of("new") == ("LOC", "ORG")
    assert same(weights(nlp, "new"), weights(trained, "news"))
    assert all(p.requires_grad for p in tagger.model.module.adapter_of("new").parameters())
    before = weights(nlp, "new")
    examples = toy_examples(nlp, "travel", 2)
    for eg in examples:
        eg.predicted._.domain = "new"
    nlp.update(examples, sgd=nlp.create_optimizer())
    assert not same(weights(nlp, "new"), before)


def test_a_start_of_another_kind(trained_folder, toy_core):
    start = trained_folder / "multibert_ner" / "domains" / "news"
    with pytest.raises(AdapterError, match="holds a lora, not a prefix"):
        initialised(toy_core, {"start": str(start)}, config={"model": {"adapter": PREFIX}})


def test_adapters_of_another_core(trained_folder, bert_folder):
    with pytest.raises(AdapterError, match="another core"):
        initialised(bert_folder, {"adapters": str(trained_folder / "multibert_ner" / "domains")})


@pytest.mark.parametrize("make", [True, False])
def test_no_adapters_in_the_folder(bert_folder, tmp_path, make):
    if make:
        (tmp_path / "adapters").mkdir()
    with pytest.raises(AdapterError, match="adapters"):
        initialised(bert_folder, {"adapters": str(tmp_path / "adapters")})


def test_prefixes_start_at_text(bert_folder):
    """The examples' words reach the prefix: other words, another start."""

    def start(domain):
        torch.manual_seed(0)
        nlp = spacy.blank("fa")
        config = {"model": {"name": str(bert_folder)}, "precision": "fp32"}
        nlp.add_pipe("frozen_transformer", name="transformer", config=config)
        nlp.add_pipe("multibert_ner", config={"model": {"adapter": PREFIX}})
        nlp.initialize(lambda: toy_examples(nlp, domain, 4))
        return weights(nlp, "default")

    assert same(start("travel"), start("travel"))
    assert not same(start("travel"), start("news"))
