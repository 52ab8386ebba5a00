"""Parts rebuilt from the settings that a run folder holds: data that somebody else may have written."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from nas.errors import NasError, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Allowed:
    """Classes from outside ``nas`` that settings of folders may name.

    Attributes:
        packages: dotted names of packages and modules; all classes that are defined in them.
        classes: dotted names of single classes.
    """

    packages: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Return whether a dotted name is one of these, by the name alone."""
        return name in self.classes or self.has_module(name.rpartition(".")[0])

    def has_module(self, name: str) -> bool:
        """Return whether a module is one of the packages, or in one."""
        return any(name == package or name.startswith(f"{package}.") for package in self.packages)


NO_OTHERS = Allowed()
"""Nothing from outside ``nas``."""


def allowed_by(settings: Mapping[str, Any]) -> Allowed:
    """Return what a command line allows: the packages of ``allow``, and what it names itself by ``_target_``.

    Args:
        settings: of the command line, resolved; never those of a folder.

    Raises:
        UserError: if ``allow`` names no package, or code that is no one's own.
    """
    return Allowed(checked_packages(settings.get("allow") or ()), frozenset(_own_targets(settings)))


def checked_packages(packages: Iterable[str]) -> tuple[str, ...]:
    """Return names of packages; UserError for one that is none, Python's own or this project's."""
    names = tuple(packages)
    for name in names:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
            raise UserError(f"allow=[{name}] is wrong: it takes names of packages, for example allow=[mypackage]")
        if _is_closed(name):
            raise UserError(f"allow=[{name}] is wrong: it takes packages of your own, not Python's or nas")
    return names


def own_packages(node: Any) -> list[str]:
    """Return what ``allow`` must name, sorted, so that a node may be used anywhere."""
    return sorted({name.partition(".")[0] for name in _own_targets(node)})


def names_own(node: Any) -> bool:
    """Return whether a node, at any depth, names code from outside ``nas``."""
    return bool(own_packages(node))


def part_from(
    settings: Mapping[str, Any],
    group: str,
    kind: type[T],
    offers: Mapping[str, object],
    source: Path,
    *,
    allowed: Allowed = NO_OTHERS,
) -> T:
    """Build one part from its node; only classes of ``nas.<group>`` and allowed ones are ever called.

    Args:
        settings: a run's, resolved.
        group: the node's key, which is also the name of the package below ``nas``.
        kind: what the part must be.
        offers: runtime arguments by name; the constructor gets those that it names.
        source: the file that the settings were read from, for messages.
        allowed: classes from outside ``nas`` that may be named.

    Raises:
        UserError: if the node is none, names anything else, or does not fit the constructor.
    """
    node = settings.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{source} has no settings of a {group}")
    target = class_of(node, group, source, allowed)
    if not issubclass(target, kind):
        raise UserError(f"{source}: {group}._target_={node['_target_']} is no {kind.__name__}")
    arguments = {
        key: _value(value, group, source, allowed)
        for key, value in node.items()
        if key not in ("_target_", "_partial_")
    }
    parameters = inspect.signature(target).parameters
    names = set(parameters)
    unread = sorted(arguments.keys() - names)
    if unread:
        raise UserError(f"{source}: {group}.{unread[0]} is unknown to this version; make the run anew")
    arguments |= {name: value for name, value in offers.items() if name in names}
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    absent = sorted(required - arguments.keys())
    if absent and names_own(node):
        raise UserError(
            f"{source} names {node['_target_']} as {group}, which takes '{absent[0]}', but is given "
            f"{', '.join(sorted(arguments))}: give it a default"
        )
    if absent:
        raise UserError(f"{source}: {group}.{absent[0]} is missing, which this version needs; make the run anew")
    try:
        return target(**arguments)
    except NasError:
        raise
    except Exception as error:
        if names_own(node):  # its code may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            name = node["_target_"]
            raise UserError(f"{source} names {name} as {group}, which cannot be built ({reason})") from error
        if isinstance(error, TypeError | ValueError | AttributeError):  # values of wrong types
            raise UserError(f"{source}: the settings of the {group} are damaged ({error})") from error
        raise


def _value(value: Any, group: str, source: Path, allowed: Allowed) -> Any:
    """Return a setting, with nodes in it, at any depth, replaced by what they describe."""
    if isinstance(value, list):
        return [_value(item, group, source, allowed) for item in value]
    if not isinstance(value, Mapping):
        return value
    settings = {
        key: _value(item, group, source, allowed) for key, item in value.items() if key not in ("_target_", "_partial_")
    }
    if "_target_" not in value:
        return settings
    target = class_of(value, group, source, allowed)
    if value.get("_partial_"):
        return partial(target, **settings)  # type: ignore[misc]
    try:
        return target(**settings)
    except TypeError as error:
        raise UserError(f"{source}: the settings of the {group} do not fit this version ({error})") from error


def class_of(node: Mapping[str, Any], group: str, source: Path, allowed: Allowed) -> type[Any]:
    """Return the class that a node names: one that is defined in a module of ``nas.<group>``, or an allowed one.

    Raises:
        UserError: if it names anything else.
    """
    name = str(node.get("_target_"))
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) and not _is_closed(name):
        return _own_class(name, group, source, allowed)
    matched = re.fullmatch(rf"(nas\.(?:{re.escape(group)}|cascade)\.[a-z][a-z0-9_]*)\.([A-Z]\w*)", name)
    found = None
    if matched:
        try:
            found = getattr(import_module(matched[1]), matched[2], None)
        except ModuleNotFoundError:
            found = None
    if not inspect.isclass(found) or matched is None or found.__module__ != matched[1]:
        raise UserError(f"{source}: {group}._target_={name!r} is no class of nas.{group}; only those are used")
    return found


def _own_class(name: str, group: str, source: Path, allowed: Allowed) -> type[Any]:
    """Return a class from outside ``nas``; its module is imported only if it is allowed."""
    package, (module, _, label) = name.partition(".")[0], name.rpartition(".")
    if not allowed.has(name):
        raise UserError(
            f"{source} names {name} as {group}, code from outside nas; add allow=[{package}] if you trust it"
        )
    try:
        found = getattr(import_module(module), label, None)
    except Exception as error:  # its code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{source} names {name} as {group}, which cannot be imported ({reason}); is its folder on PYTHONPATH?"
        ) from error
    if not inspect.isclass(found):
        raise UserError(f"{source} names {name} as {group}, but '{module}' has no class {label}")
    if name not in allowed.classes and not allowed.has_module(found.__module__):
        raise UserError(f"{source} names {name} as {group}, a class of {found.__module__}, which allow does not name")
    return found


def _is_closed(name: str) -> bool:
    """Return whether a name is of Python itself or of this project, which no one can allow."""
    package = name.partition(".")[0]
    return package in ("nas", "__main__") or package in sys.stdlib_module_names


def _own_targets(node: Any) -> Iterator[str]:
    """Yield what a node names by ``_target_`` from outside ``nas``, at any depth."""
    if isinstance(node, Mapping):
        name = node.get("_target_")
        if isinstance(name, str) and not _is_closed(name):
            yield name
        for value in node.values():
            yield from _own_targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _own_targets(value)
