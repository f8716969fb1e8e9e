"""The card of a domain's folder: what it is, how to load it, and how to use it without this
package. As a model card of the Hugging Face hub it begins with YAML.
"""

import json
from collections.abc import Mapping
from string import Template
from typing import TYPE_CHECKING, Any

from spacy.language import Language

from ..adapters.kinds import PrefixSettings

if TYPE_CHECKING:
    from ..pipeline.multibert_ner import MultibertNER

__all__ = ["card_of"]

CARD = Template("""---
library_name: peft
language: $lang
license: $license
tags: [spacy, token-classification, named-entity-recognition, multibert_spacy]
---
# $domain

$description

One domain of the spaCy pipeline `$pipeline` $version: an adapter of its frozen core and the head
`$head` with the labels $labels. Licence: $licence_text.

```python
import multibert_spacy
import spacy

nlp = spacy.load("$pipeline")
multibert_spacy.load_domain(nlp, ".", name=$new_name)  # this folder
```

The core is what it was made for, and no other: $core.

## Without multibert_spacy

`core` is the folder `$component/model` of the pipeline; `python -m spacy info $pipeline` says
where it is. Words are split at spaces and punctuation, and in the normal form that the pipeline
writes into `token.norm_`. A word's tag is that of its first piece. More than 510 pieces have to be
read in parts.

```python
import torch
from safetensors.torch import load_file
from peft import PeftModel
from transformers import AutoModel, AutoTokenizer

core, words = "$component/model", "علی کریمی به تهران رفت".split()
tokenizer = AutoTokenizer.from_pretrained(core)
model = PeftModel.from_pretrained(AutoModel.from_pretrained(core), ".").eval()
head = {name: tensor.float() for name, tensor in load_file("head.safetensors").items()}
tags = ["O"] + [f"{begin}-{label}" for label in $label_list for begin in "BI"]
pieces = tokenizer($words, add_special_tokens=False)["input_ids"]
ids = torch.tensor([[tokenizer.cls_token_id, *sum(pieces, []), tokenizer.sep_token_id]])
firsts = [1 + sum(map(len, pieces[:i])) for i in range(len(words))]
$forward
logits = $standardised @ head["weight"].T + head["bias"]

# The best sequence in which an I- continues its own B- or I-, with the head's transitions.
legal = torch.tensor([[to[0] != "I" or at[1:] == to[1:] for to in tags] for at in tags])
moves = head["transitions"].masked_fill(~legal, float("-inf"))
best, came_from = torch.tensor([0.0] + [float("-inf")] * (len(tags) - 1)), []
for scores in logits:
    best, at = (best[:, None] + moves).max(dim=0)
    best = best + scores
    came_from.append(at)
path = [int(best.argmax())]
for at in reversed(came_from[1:]):
    path.insert(0, int(at[path[0]]))
print(list(zip(words, [tags[tag] for tag in path])))
```
""")
LORA = "x = model(ids, torch.ones_like(ids)).last_hidden_state[0, firsts]"
PREFIX = """# PEFT's own positions would begin behind the prefix.
positions = $first_position + torch.arange(ids.shape[1])[None]
mask = torch.ones(1, $n_virtual + ids.shape[1])
prefix = {"past_key_values": model.get_prompt(1), "attention_mask": mask}
x = model.get_base_model()(ids, position_ids=positions, **prefix).last_hidden_state[0, firsts]"""
STANDARDISED = "torch.nn.functional.layer_norm(x, x.shape[-1:])"
ON_THE_HUB = {"MIT": "mit", "Apache-2.0": "apache-2.0", "CC-BY-4.0": "cc-by-4.0"}
"""Licences by the hub's names; all others are "other" there."""


def card_of(nlp: Language, domain: str, about: Mapping[str, Any]) -> str:
    """Write the card of a domain.

    nlp (Language): A pipeline. domain (str): One of its domains.
    about (Mapping): What its manifest says of licence and author.
    RETURNS (str): The card, as Markdown.
    """
    from .components import tagger_of

    tagger = tagger_of(nlp)
    core = tagger.model.core
    head = tagger.model.module.heads[tagger.model.module.head_name(domain)]
    licence = about.get("license", "")
    name = nlp.meta["name"]
    return CARD.substitute(
        lang=json.dumps(nlp.lang),
        license=ON_THE_HUB.get(licence, "other"),
        licence_text=licence or "not stated",
        domain=domain,
        new_name=json.dumps(domain, ensure_ascii=False),
        description=tagger.model.descriptions.get(domain, "").strip() or "No description.",
        pipeline=name if name.startswith(f"{nlp.lang}_") else f"{nlp.lang}_{name}",
        version=nlp.meta["version"],
        head=tagger.model.module.head_name(domain),
        labels=", ".join(head.labels),
        label_list=json.dumps(head.labels, ensure_ascii=False),
        core=tagger.model.listener.fingerprint(),
        component=tagger.model.listener.owner().name,
        words='[f" {word}" for word in words]' if core.spaced else "words",
        forward=_forward(tagger, domain),
        standardised=STANDARDISED if head.standardised else "x",
    )


def _forward(tagger: "MultibertNER", domain: str) -> str:
    """Write the lines that compute the hidden states x of the words."""
    settings = tagger.model.module.adapter_of(domain).settings
    if isinstance(settings, PrefixSettings):
        first = tagger.model.core.first_position
        return Template(PREFIX).substitute(n_virtual=settings.n_virtual, first_position=first)
    return LORA
