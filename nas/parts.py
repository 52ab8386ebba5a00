"""Descriptions of parts in Python: a choice of a group with its settings, as the command line has them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.errors import UserError, unknown
from nas.settings import GROUPS


@dataclass(frozen=True)
class Part:
    """A choice of a group, with settings; :func:`nas.search` and :class:`nas.AskTell` take it.

    Attributes:
        group: Group of settings, for example ``"algorithm"``.
        choice: Name of the choice, for example ``"msunas"``.
        settings: Values by key; all other keys have the defaults of the choice.

    Example:
        >>> part("algorithm", "msunas", n_doe=50).words()
        ['algorithm=msunas', 'algorithm.n_doe=50']
    """

    group: str
    choice: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> list[str]:
        """Return the words of the command line that mean the same."""
        keys = [f"{self.group}.{key}={literal(value)}" for key, value in self.settings.items()]
        return [f"{self.group}={self.choice}", *keys]


def part(group: str, choice: str, **settings: Any) -> Part:
    """Describe a part: a choice of a group, with settings.

    Args:
        group: Group of settings, for example ``"supernet"``; see ``nas --help``.
        choice: Name of the choice, for example ``"alphanet"``; see ``nas --help supernet``.
        settings: Values by key, for example ``n_doe=50``; see ``nas --help supernet=alphanet``.

    Raises:
        UserError: If there is no such group.

    Example:
        >>> part("dataset", "cifar100", path="/data")
        Part(group='dataset', choice='cifar100', settings={'path': '/data'})
    """
    if group not in GROUPS:
        raise unknown("group", group, GROUPS)
    return Part(group, choice, settings)


def escaped(text: str) -> str:
    """Return a text as it stands between single quotes: backslashes count double before a quote and at the end."""
    return re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)


def literal(value: Any) -> str:
    """Return a value as the command line's grammar writes it.

    Raises:
        UserError: If it is no number, text, truth value, list, mapping or None.

    Example:
        >>> literal([1, 0.5, "a b", None])
        "[1,0.5,'a b',null]"
    """
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(literal, value))}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        return f"'{escaped(str(value))}'"
    raise UserError(f"{value!r} is no value of a setting: give a number, text, truth value, list, mapping or None")


def _named(group: str, choice: str) -> Callable[..., Part]:
    """Return a function that takes the settings of a choice and describes the part."""

    def make(**settings: Any) -> Part:
        return Part(group, choice, settings)

    make.__doc__ = f"Describe ``{group}={choice}``; keywords are its settings, see ``nas --help {group}={choice}``."
    return make


AdditiveGP = _named("surrogate", "additive_gp")
Adaptive = _named("surrogate", "adaptive")
CART = _named("surrogate", "cart")
GP = _named("surrogate", "gp")
MLP = _named("surrogate", "mlp")
RBF = _named("surrogate", "rbf")
RBFEnsemble = _named("surrogate", "rbf_ensemble")
ENCAS = _named("algorithm", "encas")
ENCASJoint = _named("algorithm", "encas_joint")
GreedyCascade = _named("algorithm", "greedy")
MSuNAS = _named("algorithm", "msunas")
NAT = _named("algorithm", "nat")
RandomSearch = _named("algorithm", "random")
EHVISearch = _named("optimizer", "ehvi")
MOGOMEA = _named("optimizer", "mo_gomea")
NSGA2 = _named("optimizer", "nsga2")
NSGA3 = _named("optimizer", "nsga3")
EHVI = _named("selector", "ehvi")
HVI = _named("selector", "hvi")
Reference = _named("selector", "reference")
Subset = _named("selector", "subset")
