"""Classes that settings name by ``_target_``: those of ``nas``, and those that the command line allows.

Settings of a folder are data that somebody else may have written, so that only these are ever imported and called.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nas.errors import UserError


@dataclass(frozen=True)
class Allowed:
    """Classes from outside ``nas`` that settings of folders may name.

    Attributes:
        packages: Dotted names of packages and modules; all classes that are defined in them.
        classes: Dotted names of single classes.
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
        settings: Settings of the command line, resolved; never those of a folder.

    Raises:
        UserError: If ``allow`` names no package, or code that is no one's own.
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


def class_of(node: Mapping[str, Any], group: str, source: Path, allowed: Allowed) -> type[Any]:
    """Return the class that a node names: one that is defined in a module of ``nas.<group>``, or an allowed one.

    Raises:
        UserError: If it names anything else.
    """
    name = str(node.get("_target_"))
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) and not _is_closed(name):
        return _own_class(name, group, source, allowed)
    package = "objective" if group == "sec_obj" else group
    matched = re.fullmatch(rf"(nas\.(?:{re.escape(package)}|cascade)\.[a-z][a-z0-9_]*)\.([A-Z]\w*)", name)
    found = None
    if matched:
        try:
            found = getattr(import_module(matched[1]), matched[2], None)
        except ModuleNotFoundError:
            found = None
    if not inspect.isclass(found) or matched is None or found.__module__ != matched[1]:
        raise UserError(f"{source}: {group}._target_={name!r} is no class of nas.{package}; only those are used")
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
