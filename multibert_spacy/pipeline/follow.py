"""How the detector knows which domains there are: it follows the taggers behind it.

`Language._link_components` calls `find_listeners` of a component for each later one, whenever the
pipeline changes: after `add_pipe`, `remove_pipe`, `initialize` and loading. It is spaCy's only
hook for components that have to know each other, so the detector looks like a component that is
listened to. Nobody reads its model, though: what the taggers read is `doc._.domain`.
"""

import logging
from collections.abc import Sequence
from typing import Any

from ..core.gradients import FAILED
from ..errors import DomainError
from .domains import TaggerDomains

__all__ = ["FollowsTaggers"]

logger = logging.getLogger(__name__)


class FollowsTaggers:
    """The half of `DomainDetector` that knows its taggers. The reference goes one way only."""

    name: str
    labels: Sequence[str]
    fallback_domain: str | None
    cfg: dict[str, Any]
    listeners: Sequence[Any] = ()
    listening_components: Sequence[str] = ()
    _taggers: Sequence[TaggerDomains] = ()
    _just_read: bool
    _checking = False

    @property
    def listener_map(self) -> dict[str, Any]:
        """RETURNS (dict): Empty. It is what spaCy sets when it begins to link components."""
        return {}

    @listener_map.setter
    def listener_map(self, value: dict[str, Any]) -> None:
        self._checking = self._just_read
        if not self._checking:  # loading removes no component, and sees no disabled one
            self._taggers = ()

    def add_listener(self, listener: Any, component_name: str) -> None:
        """Nothing: there are none."""

    def remove_listener(self, listener: Any, component_name: str) -> bool:
        """RETURNS (bool): False: there are none."""
        return False

    def find_listeners(self, component: Any) -> None:
        """Follow the component if it is a tagger. When the pipeline has just been loaded, say
        what does not fit.

        component (Any): A later component.
        RAISES (DomainError): If fallback_domain is none of its domains, unless that domain was
            only taken away and nothing but empty texts needs it.
        """
        if not isinstance(component, TaggerDomains):
            return
        if not any(component is tagger for tagger in self._taggers):
            self._taggers = (*self._taggers, component)
        if self._checking:
            self._just_read = False  # said now; a later tagger in this linking is checked as well
            self._compare(component)

    def choosable(self) -> list[int]:
        """RETURNS (list[int]): Where in `labels` the domains are that all taggers have now; where
        there is no tagger, all.
        """
        own = [set(tagger.domains) for tagger in self._taggers]
        return [i for i, label in enumerate(self.labels) if all(label in names for names in own)]

    def fallback(self) -> str | None:
        """RETURNS (str): The fallback domain, if all taggers have it now."""
        name = self.fallback_domain
        return name if all(name in tagger.domains for tagger in self._taggers) else None

    def n_failed(self) -> int:
        """RETURNS (int): How many updates have failed in a tagger."""
        return sum(tagger.model.attrs.get(FAILED, 0) for tagger in self._taggers)

    def _compare(self, tagger: TaggerDomains) -> None:
        """Say which domains only one of the two knows. It is logged, as spaCy logs components that
        do not fit together, since a domain that was copied in or taken away is no mistake.
        """
        if not tagger.domains or not self.labels:
            return  # their models were left out
        known = ", ".join(sorted(tagger.domains))
        fallback = self.fallback_domain
        gone = fallback is not None and fallback not in tagger.domains
        if gone and (fallback not in self.labels or self.cfg["threshold"] > 0):
            raise DomainError(
                f"The fallback_domain {self.fallback_domain!r} of component '{self.name}' is no "
                f"domain of '{tagger.name}', which has: {known}. "
                f"Set components.{self.name}.fallback_domain to one of these"
            )
        missing = sorted(set(self.labels) - set(tagger.domains))
        unseen = sorted(set(tagger.domains) - set(self.labels))
        parts = []
        if gone:
            parts.append(f"{fallback}: the fallback_domain; empty texts have no domain now")
        if missing:
            parts.append(
                f"{', '.join(missing)}: known to '{self.name}' alone, which will not choose them"
            )
        if unseen:
            parts.append(
                f"{', '.join(unseen)}: known to '{tagger.name}' alone, so that only texts that "
                "are given them will have them (was a folder renamed?)"
            )
        if parts:
            logger.warning(
                "Not all domains of this pipeline fit together. %s. '%s' has: %s",
                "; ".join(parts),
                tagger.name,
                known,
            )
