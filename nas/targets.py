"""Classes that settings name by ``_target_``: classes of ``nas``, and classes that the command line allows.

Other people may have written the settings in a folder. Therefore no other classes are ever imported or called.
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
    """Classes from outside of ``nas`` that the settings in a folder may name.

    Attributes:
        packages: Dotted names of packages and modules; all classes that are defined in them are allowed.
        classes: Dotted names of single allowed classes.

    Example:
        >>> allowed = Allowed(packages=("mypackage",))
        >>> allowed.has("mypackage.spaces.MySpace"), allowed.has("other.MySpace")
        (True, False)
    """

    packages: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Return whether the dotted name of a class is allowed; the check compares names and imports nothing."""
        return name in self.classes or self.has_module(name.rpartition(".")[0])

    def has_module(self, name: str) -> bool:
        """Return whether the dotted name of a module is one of the packages, or inside of one."""
        return any(name == package or name.startswith(f"{package}.") for package in self.packages)


NO_OTHERS = Allowed()
"""Value that allows no classes from outside of ``nas``."""


def allowed_by(settings: Mapping[str, Any]) -> Allowed:
    """Return the classes that a command line allows: the packages of ``allow``, and its own ``_target_`` values.

    Args:
        settings: Resolved settings of the command line; never those of a folder.

    Raises:
        UserError: If a value of ``allow`` is no name of a package, or names Python's standard library or ``nas``.

    Example:
        >>> allowed_by({"allow": ["mypackage"]}).packages
        ('mypackage',)
    """
    return Allowed(checked_packages(settings.get("allow") or ()), frozenset(_own_targets(settings)))


def checked_packages(packages: Iterable[str]) -> tuple[str, ...]:
    """Return names of packages after a check.

    Args:
        packages: Dotted names of packages.

    Raises:
        UserError: If a name is no valid name of a package, or names Python's standard library or ``nas``.
    """
    names = tuple(packages)
    for name in names:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
            raise UserError(f"allow=[{name}] is wrong: it takes names of packages, for example allow=[mypackage]")
        if _is_closed(name):
            raise UserError(f"allow=[{name}] is wrong: it takes packages of your own, not Python's or nas")
    return names


def own_packages(node: Any) -> list[str]:
    """Return the packages that ``allow`` must name before a node can be used, sorted.

    Args:
        node: Node of settings: a mapping, a list or a plain value.

    Example:
        >>> own_packages({"space": {"_target_": "mypackage.spaces.MySpace"}})
        ['mypackage']
    """
    return sorted({name.partition(".")[0] for name in _own_targets(node)})


def names_own(node: Any) -> bool:
    """Return whether a node names code from outside of ``nas``, at any depth."""
    return bool(own_packages(node))


def class_of(node: Mapping[str, Any], group: str, source: Path, allowed: Allowed) -> type[Any]:
    """Return the class that a node names by ``_target_``.

    Args:
        node: Node of settings with ``_target_``.
        group: Group of the settings, for example ``"optimizer"``.
        source: Path of the settings, for error messages.
        allowed: Allowed classes from outside of ``nas``.

    Raises:
        UserError: If the name is neither a class that a module of ``nas.<group>`` defines nor an allowed class.

    Example:
        >>> class_of({"_target_": "nas.optimizer.nsga2.NSGA2"}, "optimizer", Path("config.yaml"), NO_OTHERS).__name__
        'NSGA2'
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
    """Return a class from outside of ``nas``; its module is imported only if the class is allowed."""
    package, (module, _, label) = name.partition(".")[0], name.rpartition(".")
    if not allowed.has(name):
        raise UserError(
            f"{source} names {name} as {group}, code from outside nas; add allow=[{package}] if you trust it"
        )
    try:
        found = getattr(import_module(module), label, None)
    except Exception as error:  # foreign code may raise any exception
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
    """Return whether a name belongs to Python's standard library or this project, which ``allow`` cannot name."""
    package = name.partition(".")[0]
    return package in ("nas", "__main__") or package in sys.stdlib_module_names


def _own_targets(node: Any) -> Iterator[str]:
    """Yield the ``_target_`` values of a node that are from outside of ``nas``, at any depth."""
    if isinstance(node, Mapping):
        name = node.get("_target_")
        if isinstance(name, str) and not _is_closed(name):
            yield name
        for value in node.values():
            yield from _own_targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _own_targets(value)
