"""Recipes (``conf/experiment``) beside parts that the command line chooses in place of theirs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from nas.parts import literal
from nas.settings import GROUPS

_MISSING = "???"  # a value that has to be given
_OF_THE_DATA = "dataset"  # its settings in a recipe, such as the size of a split, say something about one data set


def adapted(
    config: DictConfig, overrides: Sequence[Override], compose: Callable[[tuple[str, ...]], DictConfig]
) -> tuple[str, ...]:
    """Return overrides that take out of a recipe what does not fit the parts of a command line.

    Where the command line, or its ``scale``, puts another part in the place of the recipe's, the recipe's settings that
    this part does not have are left out. Those of a data set hold for the recipe's own alone.

    Args:
        config: Settings of the whole command line, a recipe's among them.
        overrides: The command line.
        compose: Composes the settings of other command lines.
    """
    choices = config.hydra.runtime.choices
    if not choices.get("experiment"):
        return ()
    groups = [override for override in overrides if _is_a_group(config, override)]
    others = tuple(_word(override) for override in groups if override.key_or_group not in GROUPS)
    recipe = tuple(word for word in others if "/" not in word.partition("=")[0])
    others_than_the_recipe = {_word(override) for override in groups} - set(recipe)
    own = compose(recipe).hydra.runtime.choices if others_than_the_recipe else choices
    replaced = {group for group in GROUPS & choices.keys() if choices[group] != own.get(group)}
    looked_at = replaced | GROUPS & {word.partition("/")[0] for word in others}
    if choices.get("scale"):
        looked_at |= GROUPS & {str(key) for key in choices if choices[key] not in (None, "several")}
    if not looked_at:
        return ()
    parts = tuple(f"{group}={choices[group]}" for group in sorted({*looked_at, "task"}))
    without_recipe = compose((*parts, *(word for word in others if not word.startswith("experiment="))))
    typed = {override.key_or_group for override in overrides}
    words: list[str] = []
    for group in sorted(looked_at & {str(key) for key in config}):
        for key in _extra(group, config[group], without_recipe[group]):
            if not _named(key, typed):
                words += [f"{key}=0", f"~{key}"]  # Hydra deletes no null
        if group in replaced and group == _OF_THE_DATA:
            changed = _changed(group, config[group], without_recipe[group])
            words += [
                f"{key}={value if value == _MISSING else literal(value)}" for key, value in changed if key not in typed
            ]
    return tuple(words)


def _is_a_group(config: DictConfig, override: Override) -> bool:
    return override.key_or_group in config.hydra.runtime.choices or "/" in override.key_or_group


def _word(override: Override) -> str:
    return override.input_line or ""


def _named(key: str, typed: set[str]) -> bool:
    """Return whether the command line names a key, or one below it."""
    return any(name == key or name.startswith(f"{key}.") for name in typed)


def _extra(path: str, node: DictConfig, reference: DictConfig) -> Iterator[str]:
    """Yield the keys of plain values that ``reference`` does not have."""
    for name in map(str, node.keys()):
        value, key = node._get_node(name), f"{path}.{name}"
        if name not in reference.keys():  # noqa: SIM118 -- `in` alone leaves out keys without a value
            if not (isinstance(value, DictConfig) and "_target_" in value):
                yield key
        elif isinstance(value, DictConfig) and _holds_parts(reference._get_node(name)):
            yield from _extra(key, value, reference[name])


def _holds_parts(node: Any) -> bool:
    """Return whether a node is a part, or several by name."""
    if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
        return False
    return "_target_" in node or (bool(node) and all(_holds_parts(node._get_node(key)) for key in node))


def _changed(path: str, node: DictConfig, reference: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yield keys and values of ``reference`` that are others in ``node``, those of parts inside it left aside."""
    before, after = (OmegaConf.to_container(each, resolve=False) for each in (reference, node))
    assert isinstance(before, dict) and isinstance(after, dict)
    for name, value in before.items():
        if not _holds_parts(reference._get_node(str(name))) and after[name] != value:
            yield f"{path}.{name!s}", value
