"""Check that what is loaded is one save: each part says which others it was saved with.

`nlp.to_disk` writes the tokenizer and the components one after the other. If it is killed in
between, or if two write to one folder, parts of two saves lie side by side, each of them whole. So
the settings of each component hold

    save         its own id: a hash of what it is, of the config and the meta
    saved_with   the ids of the parts that the same `nlp.to_disk` wrote before it

and a part whose companions have other ids is not read. The ids are hashes, so that equal
pipelines are equal files. A component that is saved alone keeps the ids that it had there: whoever
puts a new tagger into a saved pipeline means to. Domains have no ids; their folders may be copied
in and taken away. Pipelines of version 0.1.0 have none at all and are read.

Two savers. Whoever swaps a part in first looks whether the earlier parts are still the ones that
it wrote, under a lock on the pipeline's folder. So of two savers to one folder the one that was
last to write the first part goes on, and the other ends in an error.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MultibertError
from .drafts import has_draft, locked, swap
from .files import hash_regular, inside
from .manifest import SEAL, check_seal, read_json
from .parts import ID_LENGTH, LOADED, SAVED

__all__ = ["SavedPart", "check_part", "check_save", "read_settings", "say_domains"]

logger = logging.getLogger(__name__)

OWN, WITH = "save", "saved_with"
BY_HAND = "*"
"""Of a part whose settings have no seal: somebody wrote them by hand, and they go with any."""
PLACES = ("cfg", "model/multibert.json")
"""Where in a component's folder its ids may stand."""
SPACYS = ("config.cfg", "meta.json")
TOKENIZER = "tokenizer"
"""A file, whose id is always there; a pipeline of version 0.1.0 has one beside parts without."""


class SavedPart:
    """A component that is being saved."""

    def __init__(self, path: Path, *, whole: bool) -> None:
        """Read what is known of a part before it is saved.

        path (Path): Its folder.
        whole (bool): Whether it is saved with its pipeline; see `parts.is_whole`.
        """
        self.path = path
        self.whole = whole
        self._before = SAVED.known(path) if whole else {}
        self._own: str | None = None

    def ids(self, content: object) -> dict[str, Any]:
        """The ids that stand in a part's settings.

        content (object): JSON of all that the part is: hashes of its files.
        RETURNS (dict): What is to be written into its settings.
        """
        if not self.whole:
            old = {key: own for key, own in _ids(self.path).items() if key != SEAL}
            if old or not self._has_neighbours():
                return old
        spacys = [_hash(self.path.parent / name) for name in SPACYS] if self.whole else []
        text = json.dumps([content, spacys], sort_keys=True)
        self._own = hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]
        return {OWN: self._own, WITH: self._before}

    def _has_neighbours(self) -> bool:
        """Return whether it comes into a pipeline whose parts have ids."""
        parent = self.path.parent
        return (parent / "config.cfg").is_file() and any(
            OWN in _ids(path) for path in parent.iterdir() if path.is_dir()
        )

    def put(self, draft: Path, names: Sequence[str]) -> None:
        """Swap it in; see `drafts.swap`.

        RAISES (MultibertError): If another save has replaced an earlier part of this one.
        """
        with locked(self.path.parent):
            for name, own in self._before.items():
                if _id_of(inside(self.path.parent, name)) != own:
                    raise MultibertError(
                        f"Another save to {self.path.parent} has replaced '{name}' while this one "
                        f"was about to write '{self.path.name}'. Save again, to a folder of its "
                        "own"
                    )
            swap(draft, self.path, names)
        if self.whole:
            SAVED.note(self.path, self._own)


def check_part(
    path: Path, settings: Mapping[str, Any], error: type[MultibertError], *, whole: bool
) -> None:
    """Check that a component is of one save with those beside it.

    path (Path): Its folder.
    settings (Mapping): Where `SavedPart.ids` were written to.
    error (type): What to raise if it is not.
    whole (bool): Whether it is read with its pipeline. What has been read already counts then,
        whatever has been saved since.
    """
    own, others = settings.get(OWN), settings.get(WITH, {})
    if not isinstance(own, str | None) or not isinstance(others, dict):
        raise error(f"{path} is damaged: '{OWN}' or '{WITH}' in its settings is not an id")
    if whole and has_draft(path.parent):
        raise error(
            f"A save to {path.parent} was killed or failed, or is at work: its files are of two "
            "saves. Save the pipeline again (nlp.to_disk), or use another copy of it"
        )
    if own is None and SEAL not in settings:
        own = BY_HAND
    loaded = LOADED.known(path) if whole else {}
    strange = [
        name
        for name, other in loaded.items()
        if own is None and other not in (None, BY_HAND) and name != TOKENIZER
    ]
    for name, expected in others.items():
        beside = inside(path.parent, name)
        if name in loaded:
            found = loaded[name]
        elif not beside.exists():
            continue  # taken away by hand
        else:
            found = _id_of(beside)
        if found not in (expected, BY_HAND):
            strange.append(name)
    if strange:
        raise error(
            f"{path.parent} is a mix of two saves: '{path.name}' was not saved together with "
            f"'{strange[0]}'. A save was killed, or two wrote to one folder: save the pipeline "
            "again (nlp.to_disk), or use another copy of it"
        )
    if whole:
        LOADED.note(path, own)


def read_settings(path: Path, error: type[MultibertError]) -> dict[str, Any]:
    """Read the `cfg` of a component, which holds its ids.

    path (Path): The component's folder.
    error (type): What to raise if it is missing or damaged.
    """
    if not (path / "cfg").exists() and has_draft(path):
        raise error(
            f"{path / 'cfg'} is missing: a save to this folder was killed, or is at work. Save "
            "the pipeline again (nlp.to_disk), or use another copy of it"
        )
    settings = read_json(path / "cfg", error)
    check_seal(settings, path / "cfg", error)
    return settings


def check_save(
    path: Path, settings: Mapping[str, Any], error: type[MultibertError], *, whole: bool
) -> None:
    """Check, when all of a component has been read, that it is of one save.

    It must not have been saved anew meanwhile, and has to go with those beside it. Damage has been
    given a better name by then.

    path (Path): Its folder.
    settings (Mapping): What `read_settings` returned before.
    error (type): What to raise if it is not.
    whole (bool): See `check_part`.
    """
    try:
        same = read_json(path / "cfg", error) == settings
    except error:
        same = False  # a swap takes it away first
    if not same:
        raise error(f"{path} was saved anew while it was read: load it again")
    check_part(path, settings, error, whole=whole)


def say_domains(path: Path, saved: object, found: Sequence[str]) -> None:
    """Say which domains are not those that were saved. It may be meant: folders can be copied in
    and taken away.

    path (Path): The component's folder.
    saved (object): The names in its settings; version 0.1.0 wrote none.
    found (Sequence[str]): Those that were read.
    """
    if not isinstance(saved, list):
        return
    for names, what in (
        ([name for name in saved if name not in found], "missing"),
        ([name for name in found if name not in saved], "new"),
    ):
        if names:
            logger.warning(
                "Domains of %s that are %s since it was saved: %s. If you did not change its "
                "folders, use another copy of it",
                *(path, what, ", ".join(map(str, names))),
            )


def _hash(path: Path) -> str | None:
    return hash_regular(path) if path.is_file() else None


def _ids(path: Path) -> dict[str, Any]:
    """Return the ids in a component's folder, and the seal of the file that they are in."""
    for place in PLACES:
        try:
            settings = read_json(path / place, MultibertError)
        except MultibertError:
            continue
        return {key: settings[key] for key in (OWN, WITH, SEAL) if key in settings}
    return {SEAL: ""}


def _id_of(path: Path) -> str | None:
    """Return the id of a part; None if it has none."""
    if path.is_dir():
        ids = _ids(path)
        own = ids.get(OWN, BY_HAND if SEAL not in ids else None)
        return own if isinstance(own, str) else None
    try:
        return hash_regular(path)[:ID_LENGTH]
    except OSError:
        return None
