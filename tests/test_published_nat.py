"""The recipes ``experiment=nat_*`` and ``encas_joint_*`` against the configurations that ENCAS's authors published.

``keys`` says of each key of theirs what it is here: settings of the same value, settings by its value, or the reason
why there is none; ``frozen`` what it is where nothing is trained, ``joint`` where several supernets are searched
together. ``absent`` holds the values of keys that a file does not have: the program's defaults, and numbers that only
its code has.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.marks import slow_but

ROOT = Path(__file__).parent
PUBLISHED = json.loads((ROOT / "reference" / "configs_nat.json").read_text())


COMPOSED: dict[tuple[str, ...], dict[str, Any]] = {}


@pytest.fixture
def composed(launch):
    """Return the settings of a recipe, which take a second to compose."""

    def compose(name: str, *arguments: str) -> dict[str, Any]:
        if (name, *arguments) not in COMPOSED:
            code, out, err = launch(f"experiment={name}", *arguments, "--cfg", "job", "--resolve")
            assert code == 0, err
            COMPOSED[name, *arguments] = yaml.safe_load(out)
        return COMPOSED[name, *arguments]

    return compose


def values(name: str) -> dict[str, Any]:
    """Return what the original runs with, by key."""
    absent = PUBLISHED["absent"]
    return absent["all"] | absent["code"] | absent[name.partition("_")[0].rstrip("01")] | PUBLISHED["configs"][name]


def expected(key: str, value: Any, kind: str) -> dict[str, Any] | None:
    """Return settings by name and their values; ``None`` where a reason says why there are none."""
    rule = PUBLISHED["keys"][key]
    rule = rule.get(kind, rule)
    if "same" in rule:
        return dict.fromkeys(rule["same"], value)
    if "by_value" in rule:
        return rule["by_value"][json.dumps(value)]
    if "settings" in rule:
        return rule["settings"]
    assert len(rule["reason"].split()) > 1
    return None


def found(settings: Any, name: str) -> list[Any]:
    """Return the values of a setting; a star stands for all keys."""
    nodes = [settings]
    for part in name.split("."):
        nodes = [value for node in nodes for value in (node.values() if part == "*" else [node[part]])]
    return nodes


def kind_of(published: dict[str, Any]) -> str:
    if published["search_goal"] == "cascade":
        return "joint"
    return "frozen" if published["n_epochs"] == 0 else "plain"


def test_there_are_twenty_one_files_and_each_has_its_recipe():
    folder = ROOT.parent / "conf" / "experiment"
    recipes = {path.stem for pattern in ("nat_*.yaml", "encas_joint_*.yaml") for path in folder.glob(pattern)}
    assert len(PUBLISHED["configs"]) == 21
    assert set(PUBLISHED["presets"]) == set(PUBLISHED["configs"])
    assert sorted(PUBLISHED["presets"].values()) == sorted(recipes)


def test_every_key_is_accounted_for_and_every_rule_has_a_key():
    keys = set(PUBLISHED["keys"])
    assert set().union(*(values(name) for name in PUBLISHED["configs"])) == keys


FAST = {"cifar10_reproducenat", "cifar10_r0_alpha_sep", "imagenet_r0_ofa12_sep", "cifar100_r0_5nets"}


@pytest.mark.parametrize("name", slow_but(FAST, PUBLISHED["configs"]))
def test_recipes_say_what_was_published(name, composed):
    settings = composed(PUBLISHED["presets"][name])
    published = values(name)
    for key, value in published.items():
        for ours, right in (expected(key, value, kind_of(published)) or {}).items():
            values_here = found(settings, ours)
            assert values_here == [right] * max(1, len(values_here)), key


@pytest.mark.parametrize("data", ["cifar10", "cifar100", "imagenet"])
def test_cascades_are_made_of_these_runs(data, composed):
    needed = composed("encas_5nets", f"paths.networks=outputs/{data}")["pool"]["runs"]
    recipes = [name for name in PUBLISHED["presets"].values() if name.startswith(f"nat_{data}_")]
    assert sorted(composed(name)["paths"]["run"] for name in recipes) == sorted(needed)


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
@pytest.mark.parametrize("number", ["2nets", "5nets"])
def test_cascades_of_joint_runs_are_made_of_these(data, number, composed):
    needed = composed(f"encas_{number}_joint", f"paths.outputs=outputs/{data}")["pool"]["runs"]
    assert [composed(f"encas_joint_{data}_{number}")["paths"]["run"]] == needed
