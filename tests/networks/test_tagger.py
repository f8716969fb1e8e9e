"""The tagger's network: logits by row, gradients, and what stays as it was."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from thinc.api import Adam, set_dropout_rate
from torch.testing import assert_close

from multibert_spacy.adapters.kinds import LoraSettings, NoSettings, PrefixSettings
from multibert_spacy.engines import torch_engine
from multibert_spacy.engines.engine import make_engine
from multibert_spacy.errors import AdapterError, CoreError, DomainError
from multibert_spacy.networks.architectures import build_core_listener_v1
from multibert_spacy.networks.tagger import Head, TaggerModule
from multibert_spacy.networks.tagger_model import TaggerModel
from tests.tiny import (
    TEXTS,
    PlainRows,
    hidden_states,
    is_unchanged,
    listener_to,
    load_core,
    make_batch,
    randomise,
    snapshot,
)

KINDS = {
    "lora": LoraSettings(rank=4, alpha=8),
    "prefix": PrefixSettings(n_virtual=5, init="noise"),
    "projection": PrefixSettings(n_virtual=5, projection=True),
}
HEADS = {"travel": "social", "sports": "social", "news": "formal"}
LABELS = {"social": ["LOC", "ORG"], "formal": ["LOC", "ORG", "POG"]}
MIXED = ["news", "travel", "sports", "news"]


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def make_model(core, settings=KINDS["lora"], *, dropout=0.0, core_dropout=0.0, domains=HEADS):
    """A tagger with random adapters and heads."""
    model = TaggerModel(settings, listener_to(core), dropout, core_dropout)
    for domain in domains:
        model.add_domain(domain, head=HEADS[domain], labels=LABELS[HEADS[domain]])
    for i, p in enumerate(model.module.parameters()):
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(i)) * 0.2
    return model


@pytest.fixture
def core(bert_folder):
    return load_core(bert_folder)


@pytest.fixture(params=sorted(KINDS))
def model(request, core):
    return make_model(core, KINDS[request.param])


def loss_step(model, batch, sgd=None):
    """One update towards the tag 1 for every word."""
    logits, backprop = model.begin_update(batch)
    gradients = []
    for row in logits:
        gradient = softmax(row)
        gradient[:, 1] -= 1
        gradients.append(gradient)
    backprop(gradients)
    if sgd is not None:
        model.finish_update(sgd)
    return -sum(np.log(softmax(row)[:, 1]).sum() for row in logits)


class TestLogits:
    def test_each_row_has_the_size_of_its_own_head(self, core, model):
        logits = model.predict(make_batch(core, domains=MIXED))
        assert [row.shape for row in logits] == [
            (len(words), 7 if domain == "news" else 5)
            for words, domain in zip(TEXTS, MIXED, strict=True)
        ]
        assert {row.dtype for row in logits} == {np.dtype(np.float32)}

    def test_they_are_the_head_on_the_first_piece_of_each_word(self, core, model):
        batch = make_batch(core, domains=MIXED)
        logits = model.predict(batch)
        for i, (words, domain) in enumerate(zip(TEXTS, MIXED, strict=True)):
            alone = make_batch(core, [words])
            hidden = hidden_states(core, alone, model.module.adapter_of(domain))
            with torch.no_grad():
                expected = model.module.heads[HEADS[domain]](hidden[alone.firsts[0]])
            np.testing.assert_allclose(logits[i], expected, rtol=0, atol=1e-4)

    def test_a_mixed_batch_is_its_rows_one_by_one(self, core_folder):
        core = load_core(core_folder)
        for settings in KINDS.values():
            model = make_model(core, settings)
            mixed = model.predict(make_batch(core, domains=MIXED))
            for words, domain, row in zip(TEXTS, MIXED, mixed, strict=True):
                (alone,) = model.predict(make_batch(core, [words], [domain]))
                np.testing.assert_allclose(row, alone, rtol=0, atol=1e-4)

    def test_the_order_of_the_domains_in_the_bank_does_not_matter(self, core):
        batch = make_batch(core, domains=MIXED)
        source = make_model(core)
        results = []
        for domains in (["news", "travel", "sports"], ["sports", "news", "travel"]):
            model = make_model(core, domains=domains)
            for domain in domains:
                own, other = model.module, source.module
                own.adapter_of(domain).load_state_dict(other.adapter_of(domain).state_dict())
                own.heads[HEADS[domain]].load_state_dict(other.heads[HEADS[domain]].state_dict())
            assert model.module.domains == tuple(domains)
            results.append(model.predict(batch))
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)

    def test_words_without_pieces_have_no_logits(self, core, model):
        texts = [["", "سلام", ""], ["", ""], ["خبر"]]
        logits = model.predict(make_batch(core, texts, ["news", "travel", "news"]))
        assert [row.shape for row in logits] == [(1, 7), (0, 5), (1, 7)]
        (alone,) = model.predict(make_batch(core, [["سلام"]], ["news"]))
        np.testing.assert_allclose(logits[0], alone, rtol=0, atol=1e-4)

    def test_training_and_predicting_give_the_same_without_dropout(self, core, model):
        batch = make_batch(core, domains=MIXED)
        trained, _ = model.begin_update(batch)
        for one, other in zip(trained, model.predict(batch), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("which", ["dropout", "core_dropout"])
    def test_dropout_is_on_only_while_training(self, core, which):
        model = make_model(core, **{which: 0.5})
        batch = make_batch(core, TEXTS[:1], ["news"])
        assert not np.array_equal(model.begin_update(batch)[0][0], model.begin_update(batch)[0][0])
        assert np.array_equal(model.predict(batch)[0], model.predict(batch)[0])
        plain = make_model(core, dropout=0.0)
        assert np.array_equal(model.predict(batch)[0], plain.predict(batch)[0])

    def test_an_unknown_domain_is_an_error(self, core, model):
        for call in (model.predict, model.begin_update):
            with pytest.raises(DomainError, match="'nowhere'"):
                call(make_batch(core, TEXTS[:1], ["nowhere"]))

    def test_a_model_without_a_core_says_so(self):
        model = TaggerModel(KINDS["lora"], build_core_listener_v1("transformer"), 0.0)
        with pytest.raises(CoreError, match="frozen_transformer.*'transformer'"):
            model.add_domain("news", head="formal", labels=["LOC"])


class TestBatches:
    """Which rows go through the core together."""

    LENGTHS, DOMAINS = [9, 400, 9, 400, 8, 400], ["news", "travel"] * 3

    def batches(self, model, *, is_train=False, domains=DOMAINS):
        return model.batches(self.LENGTHS, domains, 2000, is_train=is_train)

    def test_rows_of_an_adapter_that_has_enough_of_them_have_their_own(self, core):
        assert self.batches(make_model(core)) == [[1, 3, 5], [0, 2, 4]]

    def test_equal_adapters_are_no_reason_to_part_rows(self, core):
        model = make_model(core)
        model.add_domain("travel", head="social", copy_from="news")
        assert self.batches(model) == [[1, 3, 5, 0, 2, 4]]

    def test_prefixes_are_no_reason_to_part_rows(self, core):
        assert self.batches(make_model(core, KINDS["prefix"])) == [[1, 3, 5, 0, 2, 4]]

    def test_in_training_rows_of_one_domain_go_together(self, core):
        found = self.batches(make_model(core), is_train=True, domains=["news"] * 6)
        assert found == [[1, 3, 5, 0, 2, 4]]

    def test_in_training_rows_of_several_are_padded_and_so_of_one_length(self, core):
        assert self.batches(make_model(core), is_train=True) == [[1, 3, 5], [0, 2, 4]]

    def test_a_gpu_has_rows_of_one_length(self, core, monkeypatch):
        monkeypatch.setattr(torch_engine, "_is_flat", lambda core: False)
        model = make_model(core, KINDS["prefix"])
        assert self.batches(model) == [[1, 3, 5], [0, 2, 4]]
        assert len(model.predict(make_batch(core, domains=MIXED))) == len(MIXED)


class TestGradients:
    def reference(self, model, core, batch, gradients):
        """The same through plain autograd, row by row."""
        for p in model.module.parameters():
            p.grad = None
        total = 0.0
        for i, domain in enumerate(batch.domains):
            n = int(batch.lengths[i])
            rows = PlainRows(model.module.adapter_of(domain))
            hidden = core.forward(
                torch.from_numpy(batch.ids[i : i + 1, :n]), torch.tensor([n]), rows
            )
            logits = model.module.heads[HEADS[domain]](hidden[0, batch.firsts[i]])
            total = total + (logits * torch.from_numpy(gradients[i])).sum()
        total.backward()
        return [p.grad for p in model.module.parameters()]

    @pytest.mark.parametrize("domains", [["news"] * 4, MIXED])
    def test_backprop_is_autograd(self, core, model, domains):
        texts = [["", *TEXTS[0]], *TEXTS[1:]]
        batch = make_batch(core, texts, domains)
        logits, backprop = model.begin_update(batch)
        rng = np.random.default_rng(0)
        gradients = [rng.normal(size=row.shape).astype(np.float32) for row in logits]
        assert backprop(gradients) is batch
        own = [p.grad for p in model.module.parameters()]
        expected = self.reference(model, core, batch, gradients)
        assert any(g is not None for g in own)
        for one, other in zip(own, expected, strict=True):
            one = torch.zeros(()) if one is None else one
            other = torch.zeros(()) if other is None else other
            assert_close(one, other.expand_as(one), rtol=1e-3, atol=1e-3)

    def test_a_gradient_is_the_slope_of_the_loss(self, core, model):
        batch = make_batch(core, TEXTS[:2], ["news", "news"])

        def loss():
            return -sum(np.log(softmax(row)[:, 1]).sum() for row in model.predict(batch))

        loss_step(model, batch)
        for p in model.module.adapter_of("news").parameters():
            at = int(p.grad.abs().argmax())
            slope, value = float(p.grad.view(-1)[at]), float(p.data.view(-1)[at])
            step = 1e-2
            losses = []
            for moved in (value + step, value - step):
                p.data.view(-1)[at] = moved
                model.weights_changed()
                losses.append(loss())
            p.data.view(-1)[at] = value
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope, rel=0.1, abs=0.02)

    def test_gradients_of_several_batches_add_up(self, core, model):
        batches = [make_batch(core, [words], ["news"]) for words in TEXTS]
        together = make_batch(core, TEXTS, ["news"] * 4)
        loss_step(model, together)
        expected = [p.grad.clone() for p in model.module.adapter_of("news").parameters()]
        for p in model.module.parameters():
            p.grad = None
        for batch in batches:
            loss_step(model, batch)
        for p, other in zip(model.module.adapter_of("news").parameters(), expected, strict=True):
            assert_close(p.grad, other, rtol=1e-3, atol=1e-3)

    def test_rows_of_only_empty_words_have_no_gradient(self, core, model):
        batch = make_batch(core, [["", ""]], ["news"])
        loss_step(model, batch, Adam(0.1))
        assert model.predict(batch)[0].shape == (0, 7)

    def test_a_bf16_core_leaves_fp32_gradients(self, bert_folder):
        model = make_model(load_core(bert_folder, precision="bf16"))
        loss_step(model, make_batch(model.core, domains=["news"] * 4))
        for p in model.module.adapter_of("news").parameters():
            assert p.dtype == p.grad.dtype == torch.float32
            assert p.grad.any()

    @pytest.mark.parametrize("kind", ["lora", "prefix"])
    def test_an_adapter_that_came_in_fp16_learns_as_one_in_fp32(self, core, kind):
        """Read from a folder, it stays in fp16 until it is trained."""
        model, again = make_model(core, KINDS[kind]), make_model(core, KINDS[kind])
        batch = make_batch(core, domains=["news"] * 4)
        adapter = model.module.adapter_of("news").half().float()
        predicted = model.predict(batch)
        loss_step(model, batch, Adam(0.01))
        expected = snapshot(adapter)
        halves = again.module.adapter_of("news").half()
        for one, other in zip(again.predict(batch), predicted, strict=True):
            np.testing.assert_array_equal(one, other)
        loss_step(again, batch, Adam(0.01))
        for p, value in zip(halves.parameters(), expected, strict=True):
            assert p.dtype == torch.float32
            assert_close(p.data, value)


class TestFrozen:
    def update(self, model, domain, sgd, n=5):
        batch = make_batch(model.core, domains=[domain] * 4)
        return [loss_step(model, batch, sgd) for _ in range(n)]

    def adapters(self, model):
        return {domain: snapshot(model.module.adapter_of(domain)) for domain in HEADS}

    def heads(self, model):
        return {name: snapshot(head) for name, head in model.module.heads.items()}

    @pytest.mark.parametrize("heads", [False, True])
    def test_only_what_is_trained_changes(self, core, model, heads):
        frozen, adapters, own_heads = snapshot(core.model), self.adapters(model), self.heads(model)
        model.set_trainable(["sports"], heads=heads)
        losses = self.update(model, "sports", Adam(0.01))
        assert losses[-1] < losses[0]
        assert is_unchanged(core.model, frozen)
        for domain, before in adapters.items():
            changed = not is_unchanged(model.module.adapter_of(domain), before)
            assert changed is (domain == "sports")
        assert is_unchanged(model.module.heads["formal"], own_heads["formal"])
        assert is_unchanged(model.module.heads["social"], own_heads["social"]) is not heads

    def test_every_parameter_of_the_trained_adapter_changes(self, core, model):
        before = snapshot(model.module.adapter_of("news"))
        model.set_trainable(["news"], heads=False)
        self.update(model, "news", Adam(0.01))
        for p, old in zip(model.module.adapter_of("news").parameters(), before, strict=True):
            assert not torch.equal(p, old)

    @pytest.mark.parametrize("L2", [0.0, 0.1])
    def test_what_was_trained_before_rests(self, core, model, L2):
        """Adam has momentum and weight decay: a gradient of zero would be an update."""
        sgd = Adam(0.01, L2=L2)
        model.set_trainable(["news"], heads=True)
        self.update(model, "news", sgd)
        adapters, heads = self.adapters(model), self.heads(model)
        model.set_trainable(["sports"], heads=False)
        self.update(model, "sports", sgd)
        assert is_unchanged(model.module.adapter_of("news"), adapters["news"])
        assert is_unchanged(model.module.heads["formal"], heads["formal"])
        assert not is_unchanged(model.module.adapter_of("sports"), adapters["sports"])

    def test_training_goes_on_with_the_same_optimizer_after_a_domain_is_added(self, core, model):
        """The optimizer's state hangs on the names of parameters, and has their shape."""
        sgd = Adam(0.01)
        model.set_trainable(["news"], heads=True)
        self.update(model, "news", sgd)
        model.add_domain("art", head="art", labels=["A", "B", "C", "D"])
        model.set_trainable(["news", "art"], heads=True)
        losses = self.update(model, "news", sgd) + self.update(model, "art", sgd)
        assert losses[4] < losses[0] and losses[9] < losses[5]
        model.module.remove_domain("art")
        assert self.update(model, "news", sgd)[0] < losses[0]

    def test_several_domains_can_be_trained(self, core, model):
        adapters = self.adapters(model)
        model.set_trainable(["news", "sports"], heads=False)
        loss_step(model, make_batch(core, domains=MIXED), Adam(0.01))
        changed = {d for d in HEADS if not is_unchanged(model.module.adapter_of(d), adapters[d])}
        assert changed == {"news", "sports"}

    def test_nothing_trainable_is_no_error(self, core, model):
        before = snapshot(model.module)
        model.set_trainable([], heads=True)
        self.update(model, "news", Adam(0.01))
        assert is_unchanged(model.module, before)

    def test_an_unknown_domain_cannot_be_trained(self, model):
        with pytest.raises(DomainError, match="'nowhere'"):
            model.set_trainable(["nowhere"], heads=False)

    def test_no_adapter_trains_the_head_only(self, core):
        model = make_model(core, NoSettings())
        frozen = snapshot(core.model)
        model.set_trainable(["news"], heads=True)
        losses = self.update(model, "news", Adam(0.01))
        assert losses[-1] < losses[0]
        assert is_unchanged(core.model, frozen)

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("domains", [["news"] * 4, MIXED])
    @pytest.mark.parametrize("kind", [*sorted(KINDS), "none"])
    def test_a_trainable_core_gets_gradients(self, bert_folder, precision, domains, kind):
        core = load_core(bert_folder, precision=precision, trainable=True)
        model = make_model(core, {**KINDS, "none": NoSettings()}[kind])
        loss_step(model, make_batch(core, domains=domains))
        for p in (*core.model.encoder.parameters(), *model.module.adapter_of("news").parameters()):
            assert p.grad is not None
            assert p.grad.dtype == torch.float32


class TestDropout:
    def test_the_rate_of_an_update_is_obeyed(self, core, model):
        """And 0 leaves it at the model's own."""
        model.module.dropout.p = 0.0
        batch = make_batch(core, TEXTS[:1], ["news"])
        (expected,) = model.predict(batch)
        (own,), _ = model.begin_update(batch)
        set_dropout_rate(model, 0.9)
        (dropped,), _ = model.begin_update(batch)
        assert np.allclose(own, expected, atol=1e-5)
        assert not np.allclose(dropped, expected, atol=1e-3)


class TestCopies:
    def test_threads_that_start_together_make_one_engine(self, core, model, monkeypatch):
        """Else each would make an OpenVINO graph, which takes a minute."""
        made = []

        def slow(*args, **kwargs):
            made.append(threading.current_thread())
            time.sleep(0.05)
            return make_engine(*args, **kwargs)

        monkeypatch.setattr("multibert_spacy.engines.adapted_module.make_engine", slow)
        with ThreadPoolExecutor(4) as pool:
            engines = set(pool.map(model.module.engine, [core] * 4))
        assert len(made) == len(engines) == 1

    def test_prediction_after_an_update_reflects_it(self, core, model):
        batch = make_batch(core, domains=["news"] * 4)
        before = model.predict(batch)
        model.set_trainable(["news"], heads=False)
        loss_step(model, batch, Adam(0.05))
        after = model.predict(batch)
        assert not np.allclose(before[0], after[0], atol=1e-3)
        for one, other in zip(after, model.begin_update(batch)[0], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)

    def test_weights_changed_by_hand_must_be_announced(self, core, model):
        batch = make_batch(core, domains=["news"] * 4)
        before = model.predict(batch)
        randomise(model.module.adapter_of("news"), seed=9)
        model.weights_changed()
        assert not np.allclose(before[0], model.predict(batch)[0], atol=1e-3)

    def test_use_params_is_for_a_while(self, core, model):
        batch = make_batch(core, domains=["news"] * 4)
        sgd = Adam(0.05, use_averages=True)
        model.set_trainable(["news"], heads=True)
        for _ in range(3):
            loss_step(model, batch, sgd)
        weights = snapshot(model.module)
        before = model.predict(batch)
        shim = model.shims[0]
        averaged = {k: v for k, v in sgd.averages.items() if k[0] == shim.id}
        names = dict(model.module.named_parameters())
        assert averaged and {name for _, name in averaged} <= names.keys()
        with model.use_params(sgd.averages):
            for (_, name), average in averaged.items():
                assert torch.equal(names[name].data, torch.from_numpy(average))
            during = model.predict(batch)
        assert not np.allclose(before[0], during[0], atol=1e-4)
        assert is_unchanged(model.module, weights)
        for one, other in zip(before, model.predict(batch), strict=True):
            assert np.array_equal(one, other)

    def test_use_params_ends_with_an_error_too(self, core, model):
        batch = make_batch(core, domains=["news"] * 4)
        before = model.predict(batch)
        name, p = next(iter(model.module.named_parameters()))
        other = {(model.shims[0].id, name): np.ones(p.shape, dtype=np.float32)}
        with pytest.raises(RuntimeError, match="in between"), model.use_params(other):
            model.predict(batch)
            raise RuntimeError("in between")
        assert np.array_equal(before[0], model.predict(batch)[0])

    def test_use_params_of_other_models_changes_nothing(self, core, model):
        weights = snapshot(model.module)
        with model.use_params({(-1, "W"): np.ones(3, dtype=np.float32)}):
            assert is_unchanged(model.module, weights)


class TestDomains:
    def test_names_heads_and_labels(self, model):
        module = model.module
        assert module.domains == ("travel", "sports", "news")
        assert {domain: module.head_name(domain) for domain in module.domains} == HEADS
        assert module.labels_of("news") == ("LOC", "ORG", "POG")
        assert module.labels_of("travel") == module.labels_of("sports") == ("LOC", "ORG")

    @pytest.mark.parametrize("name", ["head_name", "labels_of", "adapter_of", "remove_domain"])
    def test_an_unknown_domain_is_named_with_those_there_are(self, model, name):
        with pytest.raises(DomainError, match="'nowhere'.*news, sports, travel"):
            getattr(model.module, name)("nowhere")

    def test_a_new_adapter_is_like_the_settings(self, core):
        model = make_model(core)
        head = model.module.heads["social"]
        model.add_domain("art", head="social")
        assert model.module.adapter_of("art").settings == KINDS["lora"]
        assert model.module.heads["social"] is head
        assert model.module.labels_of("art") == ("LOC", "ORG")

    def test_pieces_are_a_prefixs_start(self, core):
        settings = PrefixSettings(n_virtual=3)
        model = TaggerModel(settings, listener_to(core), 0.0)
        model.add_domain("news", head="formal", labels=["LOC"], pieces=[7, 8])
        expected = core.key_values(torch.tensor([7, 8, 7]))
        assert torch.equal(model.module.adapter_of("news").table(), expected)

    def test_a_copy_is_equal_and_then_independent(self, core, model):
        model.add_domain("art", head="social", copy_from="travel")
        source, copy = (model.module.adapter_of(name) for name in ("travel", "art"))
        assert copy is not source
        assert is_unchanged(copy, snapshot(source))
        batches = [make_batch(core, domains=[name] * 4) for name in ("travel", "art")]
        before = [model.predict(batch) for batch in batches]
        for one, other in zip(*before, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
        model.set_trainable(["art"], heads=False)
        loss_step(model, batches[1], Adam(0.05))
        after = [model.predict(batch) for batch in batches]
        assert np.array_equal(before[0][0], after[0][0])
        assert not np.allclose(before[1][0], after[1][0], atol=1e-3)

    def test_a_copy_of_an_adapter_with_other_settings(self, core):
        model = make_model(core)
        odd = LoraSettings(2, 9, ("encoder.layer.1.output.dense", "encoder.layer.0.output.dense"))
        model.module.add_domain("odd", "social", randomise(odd.build(core)))
        model.add_domain("art", head="social", copy_from="odd")
        copy = model.module.adapter_of("art")
        assert copy.settings == odd
        assert is_unchanged(copy, snapshot(model.module.adapter_of("odd")))

    def test_copying_an_unknown_domain_leaves_nothing_behind(self, model):
        with pytest.raises(DomainError, match="'nowhere'"):
            model.add_domain("art", head="art", labels=["X"], copy_from="nowhere")
        assert model.module.domains == ("travel", "sports", "news")
        assert set(model.module.heads) == {"social", "formal"}

    def test_a_new_head_needs_labels(self, model):
        with pytest.raises(DomainError, match="new head 'art' of domain 'art' has no labels"):
            model.add_domain("art", head="art")

    def test_a_known_head_keeps_its_labels(self, model):
        model.add_domain("art", head="social", labels=["LOC", "ORG"])
        with pytest.raises(DomainError, match="LOC, ORG; domain 'fun' with the labels LOC, PER"):
            model.add_domain("fun", head="social", labels=["LOC", "PER"])
        assert "fun" not in model.module.domains

    def test_a_module_refuses_a_domain_without_its_head(self, core):
        module = TaggerModule(NoSettings(), 0.0)
        with pytest.raises(DomainError, match="'formal'; there are"):
            module.add_domain("news", "formal", NoSettings().build(core))

    def test_removing_a_domain_drops_a_head_that_nobody_uses(self, core, model):
        batch = make_batch(core, domains=["travel"] * 4)
        before = model.predict(batch)
        model.module.remove_domain("news")
        assert set(model.module.heads) == {"social"}
        model.module.remove_domain("sports")
        assert set(model.module.heads) == {"social"}
        assert model.module.domains == ("travel",)
        for one, other in zip(before, model.predict(batch), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
        model.module.remove_domain("travel")
        assert model.module.heads == {}
        assert list(model.module.parameters()) == []

    def test_names_may_hold_dots_and_letters_of_any_script(self, core):
        model = TaggerModel(KINDS["lora"], listener_to(core), 0.0)
        for name in ("a.b", "a_b", "اخبار", "keys"):
            model.add_domain(name, head=name, labels=["LOC"])
        sites, of_the_head = 12, 3
        assert len(list(model.module.parameters())) == 4 * (2 * sites + of_the_head)


class TestFolders:
    def test_a_domain_is_read_back(self, core, tmp_path):
        for kind, settings in (*KINDS.items(), ("none", NoSettings())):
            model = make_model(core, settings)
            other = TaggerModel(NoSettings(), listener_to(core), 0.0)
            for domain in HEADS:
                model.write_domain(domain, tmp_path / kind / domain)
                assert other.read_domain(tmp_path / kind / domain) == domain
            assert other.module.domains == model.module.domains
            assert set(other.module.heads) == {"social", "formal"}
            batch = make_batch(core, domains=MIXED)
            for one, two in zip(model.predict(batch), other.predict(batch), strict=True):
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)

    def test_an_unknown_domain_cannot_be_written(self, model, tmp_path):
        with pytest.raises(DomainError, match="'nowhere'"):
            model.write_domain("nowhere", tmp_path / "nowhere")
        assert list(tmp_path.iterdir()) == []

    def test_a_domain_can_get_another_name(self, core, model, tmp_path):
        model.write_domain("news", tmp_path / "news")
        assert model.read_domain(tmp_path / "news", "old_news") == "old_news"
        assert model.module.domains == ("travel", "sports", "news", "old_news")
        logits = model.predict(make_batch(core, [TEXTS[0]] * 2, ["news", "old_news"]))
        np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=1e-5)

    def test_equal_heads_are_one(self, core, model, tmp_path):
        for domain in ("travel", "sports"):
            model.write_domain(domain, tmp_path / domain)
        other = TaggerModel(KINDS["lora"], listener_to(core), 0.0)
        for domain in ("travel", "sports"):
            other.read_domain(tmp_path / domain)
        assert list(other.module.heads) == ["social"]
        assert other.module.head_name("travel") == other.module.head_name("sports") == "social"

    @pytest.mark.parametrize("change", ["weights", "labels"])
    def test_heads_of_one_name_that_differ_are_kept_apart(self, core, tmp_path, change):
        model, tuned = make_model(core), make_model(core)
        if change == "weights":
            randomise(tuned.module.heads["social"], seed=5)
        else:
            tuned.module.heads["social"].labels = ("ORG", "LOC")
        model.write_domain("travel", tmp_path / "travel")
        tuned.write_domain("sports", tmp_path / "sports")
        other = TaggerModel(KINDS["lora"], listener_to(core), 0.0)
        for domain in ("travel", "sports"):
            other.read_domain(tmp_path / domain)
        assert other.module.head_name("travel") == "social"
        assert other.module.head_name("sports") == "social/sports"
        assert other.module.labels_of("sports") == tuned.module.labels_of("sports")
        for source, domain in ((model, "travel"), (tuned, "sports")):
            batch = make_batch(core, domains=[domain] * 4)
            for one, two in zip(source.predict(batch), other.predict(batch), strict=True):
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)

    def test_reading_a_domain_again_replaces_it(self, core, model, tmp_path):
        batch = make_batch(core, domains=["news"] * 4)
        before = model.predict(batch)
        model.write_domain("news", tmp_path / "news")
        randomise(model.module.adapter_of("news"), seed=7)
        model.weights_changed()
        assert not np.allclose(before[0], model.predict(batch)[0], atol=1e-3)
        model.read_domain(tmp_path / "news")
        assert len(model.module.domains) == 3
        for one, other in zip(before, model.predict(batch), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)

    def test_a_tuned_head_replaces_the_one_of_the_same_domain(self, core, tmp_path):
        model = make_model(core, domains=["news"])
        randomise(model.module.heads["formal"], seed=5)
        model.write_domain("news", tmp_path / "news")
        other = make_model(core, domains=["news"])
        other.read_domain(tmp_path / "news")
        assert list(other.module.heads) == ["formal"]
        assert is_unchanged(other.module.heads["formal"], snapshot(model.module.heads["formal"]))

    def test_no_head_of_another_domain_is_ever_replaced(self, core, tmp_path):
        target = make_model(core, domains=["travel"])
        for seed, name in enumerate(("sports", "copy", "sports"), start=3):
            source = make_model(core, domains=["sports"])
            if name == "copy":  # the head that sports has now, under its new name
                target.write_domain("sports", tmp_path / "copy")
            else:
                randomise(source.module.heads["social"], seed=seed)
                source.write_domain("sports", tmp_path / str(seed))
            before = {
                domain: snapshot(target.module.heads[target.module.head_name(domain)])
                for domain in target.module.domains
            }
            folder = tmp_path / (name if name == "copy" else str(seed))
            target.read_domain(folder, name)
            for domain in before.keys() - {name}:
                head = target.module.heads[target.module.head_name(domain)]
                assert is_unchanged(head, before[domain])
        names = {domain: target.module.head_name(domain) for domain in target.module.domains}
        assert len(set(names.values())) == 3 == len(target.module.heads)

    def test_a_domain_that_changes_its_head_leaves_none_behind(self, core):
        model = make_model(core)
        model.add_domain("news", head="social")
        assert set(model.module.heads) == {"social"}
        assert model.module.labels_of("news") == ("LOC", "ORG")

    def test_another_core_is_refused(self, core, core_folders, tmp_path):
        make_model(core).write_domain("news", tmp_path / "news")
        other = TaggerModel(KINDS["lora"], listener_to(load_core(core_folders["roberta"])), 0.0)
        with pytest.raises(AdapterError, match="made for another core"):
            other.read_domain(tmp_path / "news")
        assert other.module.domains == ()
        assert other.module.heads == {}


class TestHead:
    def test_it_starts_without_a_preference(self):
        head = Head(["A", "B", "C"], 40)
        assert head.labels == ("A", "B", "C")
        assert head(torch.randn(2, 40)).tolist() == [[0] * 7] * 2

    def test_the_tags_are_its_prior(self):
        head = Head(["A"], 40, np.array([[90, 1, 0], [3, 0, 1], [4, 0, 1]]))
        expected = torch.tensor([[98, 2, 3]]) / 103  # each column's sum plus one
        assert_close(head(torch.randn(1, 40)).softmax(-1), expected)

    def test_a_quarter_of_the_pairs_odds_are_its_transitions(self):
        head = Head(["A"], 40, np.array([[6, 2, 0], [1, 0, 1], [0, 0, 0]]))
        prior = np.array([8, 3, 2]) / 13
        expected = np.log((6 + prior[0]) / 9 / prior[0]) / 4  # O after O
        assert head.transitions[0, 0].item() == pytest.approx(expected, abs=1e-5)
        assert head.transitions[0, 2].item() == pytest.approx(np.log(1 / 9) / 4, abs=1e-5)
        assert head.transitions[2].tolist() == pytest.approx([0, 0, 0], abs=1e-6)  # never seen
        rare = Head(["A"], 40, np.array([[10**6, 1, 0], [0, 0, 1], [1, 0, 0]]))
        assert rare.transitions[1, 2].item() == pytest.approx(4 / 4)  # no more than that

    def test_pairs_reach_a_new_head_only(self, core):
        model = TaggerModel(KINDS["lora"], listener_to(core), 0.0)
        pairs = np.array([[9, 1, 0], [0, 0, 0], [0, 0, 0]])
        model.add_domain("news", head="formal", labels=["LOC"], pairs=pairs)
        bias = model.module.heads["formal"].linear.bias
        assert_close(bias.exp(), torch.tensor([10, 2, 1]) / 13)
        model.add_domain("tweet", head="formal", labels=["LOC"], pairs=pairs[::-1].copy())
        assert_close(bias.exp(), torch.tensor([10, 2, 1]) / 13)

    def test_heads_without_transitions_are_read(self):
        head = randomise(Head(["A"], 4))
        other = randomise(Head(["A"], 4))
        tensors = head.tensors()
        del tensors["transitions"]
        other.load(tensors)
        assert_close(other.linear.weight, head.linear.weight)
        assert not other.transitions.any()
        with pytest.raises(RuntimeError, match="size mismatch"):
            other.load({**tensors, "transitions": torch.zeros(5, 5)})

    def test_it_is_linear_in_standardised_states(self):
        head = randomise(Head(["A"], 4))
        x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
        standard = torch.tensor([[-1.5, -0.5, 0.5, 1.5]]) / 1.25**0.5
        expected = standard @ head.linear.weight.T + head.linear.bias
        assert_close(head(x), expected, rtol=0, atol=1e-4)
        assert_close(head(0.1 * x + 5), expected, rtol=0, atol=1e-2)
