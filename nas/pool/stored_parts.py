"""Parts rebuilt from the settings that a run folder holds: data that somebody else may have written."""

import inspect
import re
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from nas.errors import UserError

T = TypeVar("T")


def part_from(settings: Mapping[str, Any], group: str, kind: type[T], offers: Mapping[str, object], source: Path) -> T:
    """Build one part from its node; nothing but classes of the package's folder for that group is ever called.

    Args:
        settings: a run's, resolved.
        group: the node's key, which is also the name of the package below ``nas``.
        kind: what the part must be.
        offers: runtime arguments by name; the constructor gets those that it names.
        source: the file that the settings were read from, for messages.

    Raises:
        UserError: if the node is none, names anything else, or does not fit the constructor.
    """
    node = settings.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{source} has no settings of a {group}")
    target = _class(node, group, source)
    if not issubclass(target, kind):
        raise UserError(f"{source}: {group}._target_={node['_target_']} is no {kind.__name__}")
    arguments = {
        key: _value(value, group, source) for key, value in node.items() if key not in ("_target_", "_partial_")
    }
    names = set(inspect.signature(target).parameters)
    unread = sorted(arguments.keys() - names)
    if unread:
        raise UserError(f"{source}: {group}.{unread[0]} is unknown to this version; make the run anew")
    arguments |= {name: value for name, value in offers.items() if name in names}
    absent = sorted(names - arguments.keys())
    if absent:
        raise UserError(f"{source}: {group}.{absent[0]} is missing, which this version needs; make the run anew")
    try:
        return target(**arguments)
    except (TypeError, ValueError, AttributeError) as error:  # values of wrong types
        raise UserError(f"{source}: the settings of the {group} are damaged ({error})") from error


def _value(value: Any, group: str, source: Path) -> Any:
    """Return a setting, with nodes in it, at any depth, replaced by what they describe."""
    if not isinstance(value, Mapping):
        return value
    settings = {key: _value(item, group, source) for key, item in value.items() if key not in ("_target_", "_partial_")}
    if "_target_" not in value:
        return settings
    target = _class(value, group, source)
    if value.get("_partial_"):
        return partial(target, **settings)  # type: ignore[misc]
    try:
        return target(**settings)
    except TypeError as error:
        raise UserError(f"{source}: the settings of the {group} do not fit this version ({error})") from error


def _class(node: Mapping[str, Any], group: str, source: Path) -> type[Any]:
    """Return the class that a node names; it must be defined in a module of ``nas.<group>``."""
    name = str(node.get("_target_"))
    matched = re.fullmatch(rf"(nas\.{re.escape(group)}\.[a-z][a-z0-9_]*)\.([A-Z]\w*)", name)
    found = None
    if matched:
        try:
            found = getattr(import_module(matched[1]), matched[2], None)
        except ModuleNotFoundError:
            found = None
    if not inspect.isclass(found) or matched is None or found.__module__ != matched[1]:
        raise UserError(f"{source}: {group}._target_={name!r} is no class of nas.{group}; only those are used")
    return found
