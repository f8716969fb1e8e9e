"""Lets mkdocstrings read this package's docstrings."""

from typing import Any

import griffe

from docs.tools.docstrings import parse

__all__ = ["SpacyDocstrings"]


class SpacyDocstrings(griffe.Extension):
    """Turns every docstring into Google's style when its object has been read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """obj (griffe.Object): Its docstring is replaced, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = parse(obj.docstring.value).google()
