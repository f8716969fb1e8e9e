"""Find what spaCy does not tell a component.

This is the pipeline that it stands in, and what else a config says of a component that it sources.

`Language._link_components` gives every component its name whenever a pipeline changes, and that is
the only call which reaches a component that is *sourced*: its factory is not called again. From
there the pipeline, and the config that `Language.from_config` is reading, are found in the
callers' frames. There is no other way: spaCy reads `source` and drops the keys beside it
(`annotate = true`) before anything of ours runs, and a callback, a language or a tokenizer of our
own would have to be in the user's config for it. A test holds that the frames are as read here.
"""

import sys
import warnings
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from thinc.api import Config

from ..core.listener import CoreListener
from ..errors import ConfigError, MultibertError
from ..text.tokenizer import PersianTokenizer, build_persian_tokenizer_v1

__all__ = ["LinkedPipe", "domains_in_front"]

OF_SPACY = ("source", "component", "factory", "replace_listeners")
"""What stands in a sourced component's section for spaCy."""
TOKENIZER = "multibert_spacy.PersianTokenizer.v1"


class LinkedPipe:
    """A component that knows its pipeline."""

    model: Any
    cfg: dict[str, Any]
    _had_ours = False
    _just_read = False

    @property
    def name(self) -> str:
        """The component's name in the pipeline."""
        name: str = TrainablePipe.name.__get__(self)
        return name

    @name.setter
    def name(self, value: str) -> None:
        TrainablePipe.name.__set__(self, value)
        caller = sys._getframe(1)
        if caller.f_code is Language._link_components.__code__:
            nlp: Language = caller.f_locals["self"]
            self._obey_config(nlp, caller.f_back)
            self._linked(nlp)

    def _linked(self, nlp: Language) -> None:
        """Called whenever components of the pipeline are linked, before listeners are. A component
        that was sourced without its transformer does not go on with another pipeline's.

        nlp (Language): The pipeline.
        """
        if isinstance(nlp.tokenizer, PersianTokenizer):
            self._had_ours = True
        elif self._had_ours:
            _LOST.add(nlp)
        _PIPELINES[self] = weakref.ref(nlp)
        front = [proc for _, proc in nlp.components]  # disabled ones, too: they may come back
        front = front[: front.index(self)]
        owners = {proc.name for proc in front if hasattr(type(proc), "fingerprint")}
        for node in self.model.walk():
            if isinstance(node, CoreListener):
                known = owners if node.upstream == "*" else owners & {node.upstream}
                if not known:
                    node.lose()

    def _settings_changed(self) -> None:
        """Check that settings which a config changed fit the sourced component, as its own do."""
        self._just_read = True

    @property
    def _pipeline(self) -> Language | None:
        """The pipeline that linked this component last, if it is still there."""
        found = _PIPELINES.get(self)
        return None if found is None else found()

    def _obey_config(self, nlp: Language, frame: Any) -> None:
        """Take over what a config says of this component beside `source`.

        RAISES (ConfigError): For a key that cannot be changed.
        """
        if frame is None or frame.f_code is not Language.add_pipe.__code__:
            return
        frame = frame.f_back
        if frame is None or frame.f_code is not Language.from_config.__func__.__code__:
            return
        section = frame.f_locals["pipeline"].get(self.name, {})
        own = nlp.get_pipe_config(self.name)
        settings = {key: value for key, value in section.items() if key not in OF_SPACY}
        if "source" not in section or all(own.get(k) == v for k, v in settings.items()):
            return
        made = _attributes(nlp, self.name, own, settings)
        for key in settings:
            if key == "model" or key not in made:
                nlp._pipe_configs[self.name] = own
                raise ConfigError(
                    f"[components.{self.name}] has a source and {key} = {settings[key]!r}: this "
                    "cannot be changed in a component that is sourced. Leave it out, or give a "
                    "factory in place of the source"
                )
        for key in settings:
            if key in self.cfg:
                self.cfg[key] = made[key]
            else:
                setattr(self, key, made[key])
        self._settings_changed()

    def _check_core(self) -> None:
        """Check that there is a core.

        RAISES (CoreError): If the component's model needs a core and is lent none.
        """
        for node in self.model.walk():
            if isinstance(node, CoreListener):
                _ = node.core

    def _check_ready(self, domains: Sequence[str]) -> None:
        """Check that a component has domains.

        domains (Sequence[str]): Those of the component.
        RAISES (CoreError): If there are none, and no core to make one on.
        RAISES (ConfigError): If there are none.
        """
        if domains:
            return
        self._check_core()
        raise ConfigError(
            f"'{self.name}' has no domain yet: load a trained pipeline, or initialize this one "
            f"on examples that have some, or with settings in [initialize.components.{self.name}]"
        )

    def _check_tokens(self, docs: Iterable[Doc]) -> None:
        """Say once that the pipeline's tokenizer is not the one that our components were trained
        on.

        It is said when a doc comes whose words it has cut: if it cuts them otherwise than ours, or
        if the component was sourced from a pipeline that has ours. Docs that came with words of
        their own are fine, and so is another tokenizer that gives the same words.

        docs (Iterable[Doc]): Docs that came in.
        """
        nlp = self._pipeline
        if nlp is None or isinstance(nlp.tokenizer, PersianTokenizer) or nlp in _SAID:
            return
        if nlp not in _TOKENIZERS:
            _TOKENIZERS[nlp] = build_persian_tokenizer_v1()(nlp)
        for doc in docs:
            words = [word.text for word in doc]
            try:
                ours = [word.text for word in _TOKENIZERS[nlp](doc.text)]
                if _were_given(doc) or (words == ours and nlp not in _LOST):
                    continue
                if words == [word.text for word in nlp.tokenizer(doc.text)]:
                    _SAID.add(nlp)
                    self._say_tokenizer(nlp, words, ours)
                    return
            except MultibertError:  # it is no text
                continue

    def _say_tokenizer(self, nlp: Language, words: list[str], ours: list[str]) -> None:
        pairs = zip(words, ours, strict=False)
        found = (f": {a!r} is one word here, with ours it is {b!r}" for a, b in pairs if a != b)
        warnings.warn(
            f"'{self.name}' was trained on the words of {TOKENIZER}, and this pipeline has "
            f"another tokenizer{next(found, '')[:200]}. Begin with "
            f"spacy.blank({nlp.lang!r}, config={{'nlp': "
            f"{{'tokenizer': {{'@tokenizers': '{TOKENIZER}'}}}}}}), or write into the config\n"
            f'[nlp.tokenizer]\n@tokenizers = "{TOKENIZER}"\nIf it is meant, silence this: '
            'warnings.filterwarnings("ignore", message=".*PersianTokenizer")',
            UserWarning,
            stacklevel=2,
        )


def domains_in_front(nlp: Language | None, component: object) -> Sequence[str]:
    """The domains that docs can have when they come to a component.

    nlp (Language): The pipeline, if there is one.
    component (object): One of its components.
    RETURNS (Sequence[str]): The domains that a component in front of it writes, if any does.
    """
    for name, proc in nlp.pipeline if nlp is not None else ():
        if proc is component:
            break
        if "doc._.domain" in nlp.get_pipe_meta(name).assigns:  # type: ignore[union-attr]
            labels: Sequence[str] = getattr(proc, "labels", ())
            return labels
    return ()


def _were_given(doc: Doc) -> bool:
    """Return whether a doc's words are somebody's own.

    Then every one is followed by a space, the last one too, unless spaces were given as well.
    """
    return all(word.whitespace_ for word in doc)


def _attributes(
    nlp: Language, name: str, config: Config, settings: dict[str, Any]
) -> dict[str, Any]:
    """Settings as the component's own factory reads, checks and keeps them.

    config (Config): The component's, without the changes; the pipeline's own copy has them after.
    settings (dict): The changes.
    RETURNS (dict): Every attribute, and every entry of `cfg`, of such a component.
    """
    config = Config(config).copy()
    factory = config.pop("factory")
    changes = {key: value for key, value in settings.items() if key != "model"}
    made = nlp.create_pipe(factory, name=name, config=config.merge(changes))
    return {"scorer": getattr(made, "scorer", None), **vars(made), **made.cfg}


# Not attributes of the components: a weak reference cannot be pickled, a process may need to.
_PIPELINES: "weakref.WeakKeyDictionary[LinkedPipe, weakref.ref[Language]]"
_PIPELINES = weakref.WeakKeyDictionary()
_TOKENIZERS: "weakref.WeakKeyDictionary[Language, Tokenizer]" = weakref.WeakKeyDictionary()
"""Ours, for pipelines that have another."""
_LOST: "weakref.WeakSet[Language]" = weakref.WeakSet()
"""Pipelines with components from one that has ours."""
_SAID: "weakref.WeakSet[Language]" = weakref.WeakSet()
"""Pipelines whose tokenizer was spoken of."""
