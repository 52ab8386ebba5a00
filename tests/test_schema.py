"""A setting is described where it is read: values of ``conf`` are the defaults of constructors, or say otherwise."""

from collections import Counter
from dataclasses import fields
from importlib import import_module
from inspect import Parameter
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.cli.help import settings_of
from nas.settings import PROVIDED, Settings, arguments

CONF = Path(__file__).parent.parent / "conf"
NO_PARTS = {"experiment", "hydra", "paths", "scale"}


def nodes() -> dict[str, dict[str, Any]]:
    """Return the node of each choice whose file holds one, with the values that a task's keys have beside it."""
    found = {}
    for path in sorted(CONF.rglob("*.yaml")):
        settings = yaml.safe_load(path.read_text()) or {}
        if path.relative_to(CONF).parts[0] in NO_PARTS:
            continue
        name = str(path.relative_to(CONF).with_suffix(""))
        if "_target_" in settings:
            found[name] = settings
        elif "_target_" in settings.get("task", {}):
            own = {key: f"${{{key}}}" for key in settings}
            found[name] = {k: settings[k] if v == own.get(k) else v for k, v in settings["task"].items()}
    return found


NODES = nodes()
FILES = Counter(node["_target_"] for node in NODES.values())


def plain(value: Any) -> bool:
    """Return whether a value stands for itself: no part, and nothing that other settings say."""
    return not isinstance(value, dict) and "${" not in str(value) and value != "???"


def same(value: Any, default: Any) -> bool:
    if isinstance(value, list):
        return value == list(default)
    return float(value) == default if isinstance(value, str) and isinstance(default, float) else value == default


@pytest.mark.parametrize("name", NODES)
def test_values_are_the_defaults_of_the_constructor_unless_files_share_it(name):
    node = NODES[name]
    module, _, label = node["_target_"].rpartition(".")
    known = arguments(getattr(import_module(module), label), ranges=False)
    for key, value in node.items():
        if key.startswith("_") or key == "defaults":
            continue
        assert key in known, f"{name}: nobody reads {key}"
        default = known[key].default
        if plain(value) and FILES[node["_target_"]] == 1 and default not in (Parameter.empty, ...):
            assert same(value, default), f"{name}: {key} is {value}, the default is {default}"


def test_settings_without_a_group_have_the_defaults_of_config():
    written = yaml.safe_load((CONF / "config.yaml").read_text())
    for field in fields(Settings):
        if field.name != "constraints":  # of which the file lists the names
            assert same(written[field.name], field.default), field.name


@pytest.mark.parametrize("target", sorted(FILES))
def test_every_setting_is_described_at_its_constructor(target):
    module, _, label = target.rpartition(".")
    known = set(arguments(getattr(import_module(module), label), ranges=False)) - PROVIDED
    described = settings_of(target)
    assert {key for key in known if not described[key].text} == set()
