"""Which cases of a table of tests are fast ones."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(fast: set[str], cases: Iterable[str]) -> list[Any]:
    """Return the cases, all but ``fast`` marked as slow; AssertionError if one of those is no case."""
    names = list(cases)
    assert fast <= set(names), fast - set(names)
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]
