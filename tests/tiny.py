"""What the tests of the networks share: tiny cores, random adapters, rows of pieces."""

import torch
from transformers import AutoModel, AutoTokenizer

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import LoraSettings, NoSettings, PrefixSettings
from multibert_spacy.core.encoder import Core
from multibert_spacy.core.listener import CoreListener
from multibert_spacy.core.row_adapter import RowAdapter
from multibert_spacy.text.align import pack_rows, window_row
from multibert_spacy.types import Window

SETTINGS = {
    "lora": LoraSettings(rank=4, alpha=8),
    "prefix": PrefixSettings(n_virtual=5, init="noise"),
    "none": NoSettings(),
}
TEXTS = [
    ["سلام", "،", "تبریز", "خبر", "وزیر", "دولت"],
    ["هتل"],
    ["گل", "بازی", "لیگ", "برد", "مربی", "سپاهان", "ایران", "دریا", "پرواز", "بلیت"],
    ["خبر", "رای", "مجلس"],
]


def load_model(folder, *, pooler=False):
    """The plain Hugging Face model, with weights so large that attention and every bias matter:
    with the start values of BERT an error in them is smaller than rounding.
    """
    model = AutoModel.from_pretrained(folder).eval()
    if not pooler:
        model.pooler = None
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith("embeddings."):
                continue
            if "norm" in name.lower():
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
            else:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.2)
    return model


def load_core(folder, *, precision="fp32", **settings):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return Core(load_model(folder), tokenizer, precision=precision, **settings)


class Owner:
    """Lends a core, as the frozen_transformer does."""

    name = "transformer"

    def __init__(self, core):
        self.core = core

    def fingerprint(self):
        return self.core.fingerprint()


def listener_to(core):
    listener = CoreListener()
    listener.receive(Owner(core))
    return listener


def randomise(module, seed=0, scale=0.2):
    """Random values for every parameter: a LoRA whose B is zero proves nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
    return module


def make_adapter(core, settings, seed=0):
    return randomise(settings.build(core), seed)


def make_batch(core, texts=TEXTS, domains=None):
    """One row per text, every word of it kept."""
    rows, firsts = [], []
    for words in texts:
        window = Window(0, len(words), 0, len(words))
        ids, first = window_row(core.pieces(words), window, size=core.max_pieces - 2)
        rows.append(ids)
        firsts.append(first)
    domains = domains or ["news"] * len(rows)
    return pack_rows(rows, firsts, domains, bos=core.bos, eos=core.eos, pad=core.pad)


def tensors(batch):
    return torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)


def mask_of(batch):
    ids, lengths = tensors(batch)
    return (torch.arange(ids.shape[1]) < lengths[:, None]).long()


def hidden_states(core, batch, adapter=None, **settings):
    """Hidden states (pieces, h) of all rows, padding left out."""
    rows = Bank([adapter]).rows([0] * len(batch.ids)) if adapter is not None else None
    with torch.no_grad():
        hidden = core.forward(*tensors(batch), rows, **settings)
    return hidden[mask_of(batch).bool()]


def plain_states(model, batch):
    """As `hidden_states`, by a model of transformers or PEFT."""
    ids, _ = tensors(batch)
    mask = mask_of(batch)
    with torch.no_grad():
        hidden = model.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden[mask.bool()]


class PlainRows(RowAdapter):
    """One adapter for every row, straight from its definition: the reference for `Bank`."""

    def __init__(self, adapter):
        self.adapter = adapter
        self.kind = adapter.settings.kind
        self.n_virtual = adapter.settings.n_virtual if self.kind == "prefix" else 0

    def linear(self, site, x, module):
        y = module(x)
        if self.kind != "lora" or site not in self.adapter.sites:
            return y
        i = self.adapter.sites.index(site)
        a, b = self.adapter.a[i].to(x.dtype), self.adapter.b[i].to(x.dtype)
        return y + self.adapter.settings.alpha / self.adapter.settings.rank * (x @ a.T @ b.T)

    def prefix(self, layer, dtype):
        if self.kind != "prefix":
            return None
        table = self.adapter.table().view(self.n_virtual, *self.adapter.shape)[:, layer].to(dtype)
        return tuple(table[:, i].transpose(0, 1)[None] for i in (0, 1))


def snapshot(module):
    return [p.detach().clone() for p in module.parameters()]


def is_unchanged(module, before):
    return all(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))
