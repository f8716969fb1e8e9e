"""Callbacks of the training stages."""

from collections.abc import Callable
from pathlib import Path

import srsly
from spacy.language import Language
from spacy.util import registry

from ..errors import ConfigError
from ..networks.mixture import Weights
from ..networks.mixture_model import MixtureModel
from ..pipeline.domain_component import DomainComponent
from ..pipeline.domain_detector import join_docs
from ..pipeline.frozen_transformer import FrozenTransformer
from .corpus import build_group_corpus_v1
from .written import draw_written, read_written

__all__ = [
    "build_fill_optimizer_v1",
    "build_fit_mixture_v1",
    "build_share_adapter_v1",
    "build_start_domain_v1",
]

GROUPS = {1: 60, 2: 40, 4: 30, 8: 20}
"""Texts of a group -> how many groups of each domain a mixture is fitted on."""


@registry.callbacks("multibert_spacy.fill_optimizer.v1")
def build_fill_optimizer_v1() -> Callable[[Language], Language]:
    """To be `initialize.before_init` of a config whose optimizer has variables, such as
    `${vars.learn_rate}`: `Language.create_optimizer` does not fill them in, so that
    `nlp.initialize()`, `nlp.resume_training()` of what was trained, `spacy debug data` and
    `spacy debug model` fail.
    """

    def fill_optimizer(nlp: Language) -> Language:
        training = nlp.config["training"]
        training["optimizer"] = nlp.config.interpolate()["training"]["optimizer"]
        return nlp

    return fill_optimizer


@registry.callbacks("multibert_spacy.start_domain.v1")
def build_start_domain_v1(
    domain: str,
    component: str = "multibert_ner",
    copy_from: str | None = None,
    freeze_head: bool = True,
    freeze_core: bool = True,
) -> Callable[[Language], Language]:
    """Step two of the paper: to be `initialize.after_init` of a config that sources step one.

    domain (str): The domain to tune.
    component (str): Name of the tagger.
    copy_from (str): The domain whose adapter is copied; None takes the default domain, or the
        only one there is, and replaces it.
    freeze_head (bool): Whether the head stays as it is.
    freeze_core (bool): Whether a core that was trained in step one is frozen now.
    """

    def start_domain(nlp: Language) -> Language:
        tagger = _with_domains(nlp, component)
        for name, proc in nlp.components:  # `spacy train` has disabled those that are sourced
            if freeze_core and isinstance(proc, FrozenTransformer):
                proc.freeze()
                nlp.get_pipe_config(name)["trainable"] = False
        tagger.start_domain(domain, copy_from=copy_from, freeze_head=freeze_head)
        nlp.get_pipe_config(component)["default_domain"] = domain
        return nlp

    return start_domain


@registry.callbacks("multibert_spacy.share_adapter.v1")
def build_share_adapter_v1(
    like: dict[str, str] = {},  # noqa: B006
    weights: dict[str, float] = {},  # noqa: B006
    domains: list[str] = [],  # noqa: B006
    component: str = "multibert_ner",
) -> Callable[[Language], Language]:
    """One adapter for domains of any heads: to be `initialize.after_init` of a config that reads
    trained ones. It starts as the mean of theirs and is trained with their heads.

    like (dict): Further domains to make: name -> the domain whose adapter and head it starts with.
    weights (dict): Head -> how much the mean of its domains' adapters counts; empty are equal.
    domains (list[str]): Those that are trained; the others are left out once the mean is taken.
        Empty is all.
    component (str): Name of the tagger.
    """

    def share_adapter(nlp: Language) -> Language:
        tagger = _with_domains(nlp, component)
        module = tagger.model.module
        for domain, source in like.items():
            tagger.model.add_domain(domain, head=module.head_name(source), copy_from=source)
        tagger.model.share_adapter(weights or None)
        for domain in set(tagger.domains) - set(domains or tagger.domains):
            module.remove_domain(domain)
        tagger.train_only(domains or tagger.domains, heads=True)
        return nlp

    return share_adapter


@registry.callbacks("multibert_spacy.fit_mixture.v1")
def build_fit_mixture_v1(
    path: str | Path | None,
    descriptions: str | Path | None = None,
    written: str | Path | None = None,
    component: str = "domain_detector",
    weights: dict[str, float] = {},  # noqa: B006
    seed: int = 0,
) -> Callable[[Language], Language]:
    """Fit what a mixture knows beside its classifier: to be `training.before_to_disk`.

    path (Path): A part of a corpus that the classifier is not trained on: of what it was, it is
        too sure.
    descriptions (Path): YAML as configs/domains.yml: what belongs to each domain, and other topics.
    written (Path): A folder of texts that were written about them; see `read_written`.
    component (str): Name of the detector.
    weights (dict): Other `Weights` than the default ones.
    seed (int): Of the groups that are drawn.
    """

    def fit_mixture(nlp: Language) -> Language:
        detector = nlp.get_pipe(component)
        model = getattr(detector, "model", None)
        if not isinstance(model, MixtureModel):
            raise ConfigError(
                f"The model of '{component}' is not a multibert_spacy.DomainMixture.v1"
            )
        told = {} if descriptions is None else srsly.read_yaml(descriptions)
        known = {
            name: entry["description"]
            for head in told.get("heads", {}).values()
            for name, entry in head["domains"].items()
        }
        labels = list(detector.labels)
        groups = []
        for size, n in GROUPS.items():
            read = build_group_corpus_v1(path, labels, group_size=size, n_groups=n, seed=seed)
            for eg in read(nlp):
                (name,) = (key for key, value in eg.reference.cats.items() if value)
                groups.append((name, size, eg.predicted))
        texts = [] if written is None else read_written(written, nlp, labels)
        drawn = [(name, join_docs(own, nlp.vocab)) for name, own in draw_written(texts, seed=seed)]
        model.fit(labels, groups, known, told.get("others", []), Weights(**weights), drawn)
        return nlp

    return fit_mixture


def _with_domains(nlp: Language, name: str) -> DomainComponent:
    """Return a component with an adapter per domain.

    RAISES (ConfigError): If it is something else.
    """
    component = nlp.get_pipe(name)
    if not isinstance(component, DomainComponent):
        raise ConfigError(
            f"'{name}' is not a multibert_ner, multibert_tagger or multibert_textcat component"
        )
    return component
