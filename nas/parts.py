"""Constructors that wait for some of their arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def build(part: Callable[..., T], offers: Mapping[str, object]) -> T:
    """Call a part's constructor with those runtime arguments that it names.

    Args:
        part: a class, or a partial that holds the part's settings.
        offers: the runtime arguments that are known at this point, by name.
    """
    named = inspect.signature(part).parameters
    return part(**{name: value for name, value in offers.items() if name in named})
