"""start_domain: step two of the paper; share_adapter: a step before it. Callbacks of configs."""

import pytest
import spacy
import torch
from conftest import fit, toy_examples
from spacy.util import registry

from multibert_spacy.errors import AdapterError, ConfigError, DomainError


def start(**settings):
    return registry.callbacks.get("multibert_spacy.start_domain.v1")(**settings)


def weights(nlp, domain):
    module = nlp.get_pipe("multibert_ner").model.module
    return [p.detach().clone() for p in module.adapter_of(domain).parameters()]


def state(nlp):
    """Of core and head."""
    core = nlp.get_pipe("transformer").model.transformer
    heads = nlp.get_pipe("multibert_ner").model.module.heads
    return (
        [p.detach().clone() for p in core.parameters()],
        [p.detach().clone() for p in heads["social"].parameters()],
    )


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


def tune(nlp):
    def draw(step):
        examples = toy_examples(nlp, "sports", 3, step)
        for eg in examples:
            eg.predicted._.domain = None
        return examples

    fit(nlp, draw, steps=3, learn_rate=0.01)


@pytest.mark.parametrize("freeze_head", [True, False])
@pytest.mark.parametrize("freeze_core", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
def test_what_is_frozen(make_nlp, freeze_head, freeze_core, trainable):
    nlp = make_nlp(detector=False, trainable=trainable)
    before = weights(nlp, "sports")
    callback = start(
        domain="football", copy_from="sports", freeze_head=freeze_head, freeze_core=freeze_core
    )
    assert callback(nlp) is nlp
    assert same(weights(nlp, "football"), before)
    core, head = state(nlp)
    tune(nlp)
    after_core, after_head = state(nlp)
    assert same(core, after_core) == (freeze_core or not trainable)
    assert same(head, after_head) == freeze_head
    assert not same(weights(nlp, "football"), before)
    assert same(weights(nlp, "sports"), before)


def test_defaults_are_the_paper_s(make_nlp):
    nlp = make_nlp(detector=False, trainable=True)
    nlp.get_pipe("multibert_ner").cfg["default_domain"] = "travel"
    before = weights(nlp, "travel")
    start(domain="hotels")(nlp)
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["hotels", "news", "sports"]
    assert same(weights(nlp, "hotels"), before)
    core, head = state(nlp)
    tune(nlp)
    assert (same(core, state(nlp)[0]), same(head, state(nlp)[1])) == (True, True)


def test_the_config_says_what_was_done(make_nlp, tmp_path):
    """So that the pipeline that is saved is loaded in the same state."""
    nlp = make_nlp(detector=False, trainable=True, default_domain="travel")
    start(domain="football", copy_from="sports")(nlp)
    assert nlp.config["components"]["transformer"]["trainable"] is False
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a")
    assert other.get_pipe("transformer").trainable is False
    assert other.get_pipe("multibert_ner").cfg["default_domain"] == "football"
    doc = nlp.make_doc("تبریز گل")
    doc._.domain = "football"
    expected = [(e.start, e.label_) for e in nlp(doc).ents]
    assert [(e.start, e.label_) for e in other("تبریز گل").ents] == expected


def test_a_core_that_stays_trainable_is_saved_as_such(make_nlp, tmp_path):
    nlp = make_nlp(detector=False, trainable=True)
    start(domain="football", copy_from="sports", freeze_core=False)(nlp)
    nlp.to_disk(tmp_path / "a")
    assert spacy.load(tmp_path / "a").get_pipe("transformer").trainable is True


def test_another_name_of_the_component(make_nlp):
    nlp = make_nlp(detector=False)
    nlp.rename_pipe("multibert_ner", "names")
    start(domain="football", copy_from="sports", component="names")(nlp)
    assert "football" in nlp.get_pipe("names").domains
    with pytest.raises(KeyError, match="multibert_ner"):
        start(domain="football", copy_from="sports")(nlp)


def test_a_component_of_another_kind(make_nlp):
    nlp = make_nlp(detector=False)
    with pytest.raises(ConfigError, match="'transformer' is not a multibert_ner"):
        start(domain="football", component="transformer")(nlp)
    nlp.add_pipe("sentencizer")
    with pytest.raises(ConfigError, match="'sentencizer' is not a multibert_ner"):
        start(domain="football", component="sentencizer")(nlp)


def test_an_unknown_source(make_nlp):
    with pytest.raises(DomainError, match="'sprots'.*news, sports, travel"):
        start(domain="football", copy_from="sprots")(make_nlp(detector=False))


def share(**settings):
    return registry.callbacks.get("multibert_spacy.share_adapter.v1")(**settings)


def test_domains_of_two_heads_share_the_mean_and_learn_together(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    for name, value in {"travel": 0.0, "sports": 1.0, "news": 2.0}.items():
        for p in tagger.model.module.adapter_of(name).parameters():
            p.data = torch.full_like(p, value)
    assert share(like={"hotels": "travel"})(nlp) is nlp
    assert tagger.labels_of("hotels") == tagger.labels_of("travel")
    mean = ((0 + 1 + 0) / 3 + 2) / 2  # social: travel, sports and hotels; formal: news
    for name in tagger.domains:
        for p in weights(nlp, name):
            assert torch.allclose(p, torch.full_like(p, mean))
    assert len(tagger.model.module.adapters) == 1


def test_a_shared_adapter_is_trained_on_batches_of_both_heads(make_nlp):
    nlp = share(like={})(make_nlp(detector=False))
    tagger = nlp.get_pipe("multibert_ner")
    before = weights(nlp, "news")
    heads = {
        name: [p.detach().clone() for p in head.parameters()]
        for name, head in tagger.model.module.heads.items()
    }

    def draw(step):
        return toy_examples(nlp, "sports", 2, step) + toy_examples(nlp, "news", 2, step)

    fit(nlp, draw, steps=4, learn_rate=0.01)
    assert not same(weights(nlp, "news"), before)
    assert same(weights(nlp, "news"), weights(nlp, "travel"))
    for name, head in tagger.model.module.heads.items():
        assert not same(list(head.parameters()), heads[name])


def test_heads_may_weigh_and_domains_be_left_out(make_nlp):
    nlp = make_nlp(detector=False)
    tagger = nlp.get_pipe("multibert_ner")
    for name, value in {"travel": 0.0, "sports": 1.0, "news": 2.0}.items():
        for p in tagger.model.module.adapter_of(name).parameters():
            p.data = torch.full_like(p, value)
    share(weights={"social": 3.0, "formal": 1.0}, domains=["travel", "sports"])(nlp)
    assert sorted(tagger.domains) == ["sports", "travel"]
    assert list(tagger.model.module.heads) == ["social"]
    for p in weights(nlp, "travel"):
        assert torch.allclose(p, torch.full_like(p, 0.75 * 0.5 + 0.25 * 2))
    for p in tagger.model.module.parameters():
        assert p.requires_grad


def test_a_head_that_there_is_not(make_nlp):
    with pytest.raises(DomainError, match="Unknown head 'legal'; there are:"):
        share(weights={"legal": 1.0})(make_nlp(detector=False))


def test_adapters_of_two_shapes_have_no_mean(make_nlp):
    nlp = make_nlp(detector=False)
    adapter = nlp.get_pipe("multibert_ner").model.module.adapter_of("news")
    for p in adapter.parameters():
        p.data = torch.zeros(*(n + 1 for n in p.shape))
    with pytest.raises(AdapterError, match="different kinds or shapes"):
        share(like={})(nlp)


def test_a_domain_like_none_that_there_is(make_nlp):
    with pytest.raises(DomainError, match="desert"):
        share(like={"hotels": "desert"})(make_nlp(detector=False))
