"""The detector's network, compared with the same computed by hand."""

import numpy as np
import pytest
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam
from torch.nn import functional as F
from torch.testing import assert_close

from multibert_spacy.adapters.kinds import LoraSettings, NoSettings, PrefixSettings
from multibert_spacy.core.listener import CoreListener
from multibert_spacy.errors import AdapterError, ConfigError, CoreError
from multibert_spacy.networks.classifier import ClassifierModel
from multibert_spacy.text.normalize import build_no_normalizer_v1
from tests.tiny import (
    TEXTS,
    PlainRows,
    is_unchanged,
    listener_to,
    load_core,
    make_batch,
    randomise,
    snapshot,
)

VOCAB = Vocab()
CLASSES = ["news", "sports", "travel"]
KINDS = {
    "lora": LoraSettings(rank=4, alpha=8),
    "prefix": PrefixSettings(n_virtual=5, init="noise"),
    "none": NoSettings(),
}


def docs_of(texts=TEXTS):
    return [Doc(VOCAB, words=words) for words in texts]


def new_model(core, settings=KINDS["lora"], **options):
    """A detector without weights."""
    options = {
        "max_pieces": 512,
        "batch_pieces": 4096,
        "pooling": "mean",
        "dropout": 0.0,
        "layers": 0,
        **options,
    }
    normalizer = options.pop("normalizer", build_no_normalizer_v1())
    return ClassifierModel(settings, listener_to(core), normalizer, **options)


def make_model(core, settings=KINDS["lora"], *, seed=0, **options):
    """A detector with random weights."""
    model = new_model(core, settings, **options)
    model.initialize(X=docs_of(), Y=np.zeros((1, len(CLASSES)), dtype=np.float32))
    randomise(model.module, seed)
    return model


@pytest.fixture
def core(bert_folder):
    return load_core(bert_folder)


def by_hand(model, core, pooling, *, train=False):
    """Logits, one text at a time: states of all pieces, pooled, standardised, one layer."""
    logits = []
    for words in TEXTS:
        batch = make_batch(core, [words])
        rows = PlainRows(model.module.adapter)
        with torch.set_grad_enabled(train):
            hidden = core.forward(
                torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths), rows
            )[0]
            pooled = hidden.mean(0) if pooling == "mean" else hidden[0]
            logits.append(model.module.linear(F.layer_norm(pooled, (32,))))
    return torch.stack(logits)


class TestProbabilities:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    @pytest.mark.parametrize("pooling", ["mean", "first"])
    def test_they_are_those_computed_by_hand(self, core_folder, kind, pooling):
        core = load_core(core_folder)
        model = make_model(core, KINDS[kind], pooling=pooling)
        probs = model.predict(docs_of())
        expected = by_hand(model, core, pooling).softmax(-1)
        np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)
        assert probs.dtype == np.float32
        assert np.ptp(probs, axis=0).max() > 1e-3

    def test_the_poolings_differ(self, core):
        mean, first = (
            make_model(core, pooling=pooling).predict(docs_of()) for pooling in ("mean", "first")
        )
        assert np.abs(mean - first).max() > 0.01

    def test_they_do_not_depend_on_the_batch(self, core):
        expected = make_model(core).predict(docs_of())
        for budget in (1, 10, 30):
            probs = make_model(core, batch_pieces=budget).predict(docs_of())
            np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-5)
        alone = [make_model(core).predict([doc])[0] for doc in docs_of()]
        np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-5)

    def test_a_doc_without_words_has_probabilities_too(self, core):
        probs = make_model(core).predict(docs_of([[], ["سلام"]]))
        np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)

    def test_no_docs(self, core):
        assert make_model(core).predict([]).shape == (0, 3)

    def test_dropout_is_on_only_while_training(self, core):
        model = make_model(core, dropout=0.5)
        one, other = (model.begin_update(docs_of())[0] for _ in range(2))
        assert not np.array_equal(one, other)
        assert np.array_equal(model.predict(docs_of()), model.predict(docs_of()))
        np.testing.assert_array_equal(
            model.predict(docs_of()), make_model(core, dropout=0.0).predict(docs_of())
        )

    def test_a_bf16_core_is_close(self, bert_folder, core):
        rounded = make_model(load_core(bert_folder, precision="bf16"))
        expected = make_model(core).predict(docs_of())
        np.testing.assert_allclose(rounded.predict(docs_of()), expected, atol=0.1)

    def test_it_starts_without_a_preference(self, core):
        model = new_model(core)
        model.initialize(X=docs_of(), Y=np.zeros((1, 4), dtype=np.float32))
        np.testing.assert_allclose(model.predict(docs_of()), 0.25, atol=1e-6)


class TestRows:
    def test_they_are_the_pieces_of_the_normal_forms(self, core):
        model = make_model(core, normalizer=lambda word: {"کلمه": "سلام", "ـ": ""}.get(word, word))
        (row,) = model.rows(model.pieces(docs_of([["کلمه", "ـ", "خبر"]])))
        assert row == [piece for word in core.pieces(["سلام", "خبر"]) for piece in word]

    @pytest.mark.parametrize("max_pieces, expected", [(3, 1), (10, 8), (512, 510), (9999, 510)])
    def test_only_the_first_pieces_are_read(self, core, max_pieces, expected):
        model = make_model(core, max_pieces=max_pieces)
        words = ["سلام", "خبر", "وزیر"] * 400
        (row,) = model.rows(model.pieces(docs_of([words])))
        assert len(row) == expected
        assert row == [piece for word in core.pieces(words) for piece in word][:expected]

    def test_what_is_behind_them_does_not_count(self, core):
        model = make_model(core, max_pieces=6)
        (first,) = core.pieces(["سلام"])
        assert len(first) == 4
        probs = model.predict(docs_of([["سلام", "خبر"], ["سلام", "دریا", "گل"], ["سلام"]]))
        np.testing.assert_allclose(probs[0], probs[1], rtol=0, atol=1e-6)
        np.testing.assert_allclose(probs[0], probs[2], rtol=0, atol=1e-6)

    def test_512_pieces_go_through_with_a_prefix(self, core):
        model = make_model(core, KINDS["prefix"])
        assert model.predict(docs_of([["سلام"] * 600])).shape == (1, 3)


class TestTraining:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    @pytest.mark.parametrize("pooling", ["mean", "first"])
    def test_backprop_is_autograd(self, core, kind, pooling):
        model = make_model(core, KINDS[kind], pooling=pooling, batch_pieces=20)
        gradient = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
        docs = docs_of()
        _, backprop = model.begin_update(docs)
        assert backprop(gradient) is docs
        own = [p.grad.clone() for p in model.module.parameters()]
        model.module.zero_grad()
        (by_hand(model, core, pooling, train=True) * torch.from_numpy(gradient)).sum().backward()
        assert len(own) == len(list(model.module.parameters())) > 0
        for one, p in zip(own, model.module.parameters(), strict=True):
            assert_close(one, p.grad, rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("kind", ["lora", "prefix"])
    def test_updates_lower_the_loss_and_leave_the_core_alone(self, core, kind):
        model = make_model(core, KINDS[kind])
        frozen, before = snapshot(core.model), snapshot(model.module.adapter)
        truth = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
        sgd = Adam(0.02)
        losses = []
        for _ in range(5):
            probs, backprop = model.begin_update(docs_of())
            backprop(probs - truth)
            model.finish_update(sgd)
            losses.append(float(-(truth * np.log(probs)).sum()))
        assert losses[-1] < losses[0]
        assert is_unchanged(core.model, frozen)
        for p, old in zip(model.module.adapter.parameters(), before, strict=True):
            assert not torch.equal(p, old)

    def test_prediction_after_an_update_reflects_it(self, core):
        model = make_model(core)
        before = model.predict(docs_of())
        probs, backprop = model.begin_update(docs_of())
        backprop(probs - np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
        model.finish_update(Adam(0.05))
        after = model.predict(docs_of())
        assert np.abs(after - before).max() > 1e-3
        np.testing.assert_allclose(model.begin_update(docs_of())[0], after, rtol=0, atol=1e-5)

    def test_use_params_is_for_a_while(self, core):
        model = make_model(core)
        before = model.predict(docs_of())
        name = "linear.weight"
        other = {(model.shims[0].id, name): np.zeros((3, 32), dtype=np.float32)}
        with model.use_params(other):
            during = model.predict(docs_of())
        assert np.ptp(during, axis=0).max() < 1e-6 < np.ptp(before, axis=0).max()
        np.testing.assert_array_equal(model.predict(docs_of()), before)


class TestInitialize:
    def test_the_number_of_classes_comes_from_the_sample(self, core):
        model = make_model(core)
        assert model.get_dim("nO") == 3
        assert model.module.linear.out_features == 3

    def test_text_is_a_prefixs_start(self, core):
        settings = PrefixSettings(n_virtual=4)
        model = new_model(core, settings)
        docs = docs_of([["سلام"]])
        model.initialize(X=docs, Y=np.zeros((1, 2), dtype=np.float32))
        expected = core.key_values(torch.tensor(core.pieces(["سلام"])[0]))
        assert torch.equal(model.module.adapter.table(), expected)

    def test_weights_that_are_there_stay(self, core):
        model = make_model(core)
        before = snapshot(model.module)
        model.initialize(X=docs_of(), Y=np.zeros((1, 3), dtype=np.float32))
        assert is_unchanged(model.module, before)

    def test_without_weights_it_cannot_run(self, core):
        listener = listener_to(core)
        options = {"max_pieces": 9, "batch_pieces": 9, "pooling": "mean", "dropout": 0.0}
        model = ClassifierModel(KINDS["lora"], listener, build_no_normalizer_v1(), **options)
        with pytest.raises(ConfigError, match="no weights yet"):
            model.predict(docs_of())

    def test_without_a_core_it_cannot_run(self):
        options = {"max_pieces": 9, "batch_pieces": 9, "pooling": "mean", "dropout": 0.0}
        model = ClassifierModel(KINDS["lora"], CoreListener(), build_no_normalizer_v1(), **options)
        with pytest.raises(CoreError, match="frozen_transformer"):
            model.predict(docs_of())

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"pooling": "max"}, "mean, first, got 'max'"),
            ({"max_pieces": 2}, "at least 3, got 2"),
            ({"max_pieces": -1}, "at least 3, got -1"),
        ],
    )
    def test_settings_without_sense(self, core, options, message):
        with pytest.raises(ConfigError, match=message):
            make_model(core, **options)


class TestFolder:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_it_is_read_back(self, core, tmp_path, kind):
        model = make_model(core, KINDS[kind])
        model.write(tmp_path / "detector", CLASSES)
        other = make_model(core, NoSettings(), seed=5)
        assert np.abs(other.predict(docs_of()) - model.predict(docs_of())).max() > 1e-3
        other.read(tmp_path / "detector", CLASSES)
        np.testing.assert_array_equal(other.predict(docs_of()), model.predict(docs_of()))

    @pytest.mark.parametrize(
        "labels", [["news", "sports"], ["sports", "news", "travel"], ["news", "sports", "art"]]
    )
    def test_other_labels_are_refused(self, core, tmp_path, labels):
        model = make_model(core)
        model.write(tmp_path / "detector", CLASSES)
        with pytest.raises(AdapterError, match="'travel'"):
            model.read(tmp_path / "detector", labels)

    def test_another_pooling_is_refused(self, core, tmp_path):
        make_model(core, pooling="first").write(tmp_path / "detector", CLASSES)
        with pytest.raises(AdapterError, match="pooling = 'first', not 'mean'"):
            make_model(core, pooling="mean").read(tmp_path / "detector", CLASSES)

    def test_a_layer_that_does_not_fit_is_refused(self, core, tmp_path):
        model = make_model(core)
        model.write(tmp_path / "detector", CLASSES + ["art"])
        with pytest.raises(AdapterError, match="does not fit"):
            make_model(core).read(tmp_path / "detector", CLASSES + ["art"])

    def test_another_core_is_refused(self, core, core_folders, tmp_path):
        make_model(core).write(tmp_path / "detector", CLASSES)
        other = make_model(load_core(core_folders["xlmr"]))
        with pytest.raises(AdapterError, match="made for another core"):
            other.read(tmp_path / "detector", CLASSES)


class TestLayers:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_only_the_first_are_run(self, core, kind):
        model = make_model(core, KINDS[kind], layers=1)
        expected = []
        for words in TEXTS:
            batch = make_batch(core, [words])
            ids, lengths = torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)
            rows = PlainRows(model.module.adapter)
            with torch.no_grad():
                pooled = core.forward(ids, lengths, rows, n_layers=1)[0].mean(0)
                expected.append(model.module.linear(F.layer_norm(pooled, (32,))))
        probs = torch.from_numpy(model.predict(docs_of()))
        assert_close(probs, torch.stack(expected).softmax(-1))

    def test_the_bare_core_stops_where_hugging_face_is(self, core):
        batch = make_batch(core, [TEXTS[0]])
        ids, lengths = torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)
        with torch.no_grad():
            states = core.model(ids, output_hidden_states=True).hidden_states
            assert_close(core.forward(ids, lengths, n_layers=1), states[1], rtol=0, atol=1e-5)

    def test_layers_above_carry_no_adapter(self, core):
        sites = make_model(core, layers=1).module.adapter.sites
        assert len(sites) == 6
        assert all(site.startswith("encoder.layer.0.") for site in sites)
        with pytest.raises(ConfigError, match="first layer"):
            make_model(core, LoraSettings(first_layer=1), layers=1)

    @pytest.mark.parametrize("layers", [-1, 3])
    def test_the_core_must_have_them(self, core, layers):
        with pytest.raises(ConfigError, match=f"{layers}"):
            make_model(core, layers=layers)

    def test_round_trip(self, core, tmp_path):
        model = make_model(core, layers=1)
        model.write(tmp_path / "saved", CLASSES)
        other = make_model(core, layers=1, seed=1)
        other.read(tmp_path / "saved", CLASSES)
        assert_close(other.predict(docs_of()), model.predict(docs_of()))
        with pytest.raises(AdapterError, match="layers = 1, not 0"):
            make_model(core).read(tmp_path / "saved", CLASSES)


class TestBag:
    """A weight per piece and class, added to what the core says."""

    def logits_beside_the_core(self, core, words, **options):
        """What the bag adds, up to a constant over the classes."""
        docs = docs_of([words])
        with_bag = make_model(core, bag=True, **options)
        with_bag.module.bag.weight.data *= 0.01
        without = make_model(core, **options)
        without.module.load(with_bag.module.linear.state_dict())
        without.module.adapter = with_bag.module.adapter
        added = np.log(with_bag.predict(docs)) - np.log(without.predict(docs))
        return with_bag, added[0] - added[0].mean()

    def test_each_piece_counts_once_and_all_together_have_one_length(self, core):
        words = ["سلام", "خبر", "سلام", "سلام"]
        model, added = self.logits_beside_the_core(core, words)
        kinds = sorted({p for pieces in core.pieces(words) for p in pieces})
        expected = 32 * model.module.bag.weight[kinds].sum(0) / len(kinds) ** 0.5
        expected = (expected - expected.mean()).detach().numpy()
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(added, expected, atol=1e-3)

    def test_it_sees_what_the_core_does_not_read(self, core):
        docs = docs_of([["سلام", "خبر", "وزیر"], ["سلام", "خبر", "تیم"]])
        cut = {"max_pieces": 3}
        one, other = make_model(core, **cut).predict(docs)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
        with_bag = make_model(core, bag=True, **cut)
        with_bag.module.bag.weight.data *= 0.01
        one, other = with_bag.predict(docs)
        assert np.abs(one - other).max() > 1e-4

    def test_it_starts_without_a_say_and_learns(self, core):
        model = new_model(core, KINDS["none"], max_pieces=3, bag=True)
        model.initialize(X=docs_of(), Y=np.zeros((1, 2), dtype=np.float32))
        docs, truth = docs_of([["سلام", "وزیر"], ["سلام", "تیم"]]), np.eye(2, dtype=np.float32)
        np.testing.assert_allclose(model.predict(docs), 0.5)
        optimizer = Adam(0.01)
        for _ in range(60):
            probs, backprop = model.begin_update(docs)
            backprop(probs - truth)
            model.finish_update(optimizer)
        assert (model.predict(docs)[[0, 1], [0, 1]] > 0.9).all()

    def test_it_is_kept(self, core, tmp_path):
        model = make_model(core, bag=True)
        model.write(tmp_path / "d", CLASSES)
        again = make_model(core, bag=True, seed=1)
        again.read(tmp_path / "d", CLASSES)
        np.testing.assert_array_equal(again.predict(docs_of()), model.predict(docs_of()))
        with pytest.raises(AdapterError, match="bag = True, not False"):
            make_model(core).read(tmp_path / "d", CLASSES)

    def test_a_text_without_words_has_an_empty_one(self, core):
        probs = make_model(core, bag=True).predict(docs_of([[], ["سلام"]]))
        np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)
