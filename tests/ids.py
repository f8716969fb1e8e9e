"""Names of tests that are the same in every process.

pytest-xdist compares the names that its processes found; where one depends on the order of a set
or on an address, nothing runs, with a message as long as the list. What can be seen in a
parametrisation is refused here, in every process and with the name of the test.
"""

import re

import pytest

VARYING = re.compile(r"\bat 0x[0-9a-f]+|\{[^(){}:]+, [^(){}:]+\}")
"""An address, and a set of two or more."""


def pytest_generate_tests(metafunc):
    """Refuse values that come out of a set."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        values = mark.args[1] if len(mark.args) > 1 else mark.kwargs["argvalues"]
        if isinstance(values, (set, frozenset)):
            name = metafunc.definition.nodeid
            raise pytest.UsageError(f"{name}: its values have no order: sort them")


def pytest_collection_modifyitems(items):
    """Refuse names with an address or the content of a set in them."""
    for item in items:
        if VARYING.search(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid}: another name in every process: give it an id")
