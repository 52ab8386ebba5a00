"""The sweeps ``nsganetv2_*`` against the examples that NSGANetV2's authors published.

``keys`` says of each of their arguments what it is here: settings of the same value, settings by its value, a choice of
a group, a setting where networks are trained (``tuned``), or the reason why there is none. ``code`` holds numbers that
only their program has.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from tests.test_sweeps import GIVEN, jobs

PUBLISHED = json.loads((Path(__file__).parent / "reference" / "scripts_nsganetv2.json").read_text())
EXAMPLES = {example["sweep"]: example for example in PUBLISHED["examples"]}


def expected(key: str, value: Any, config: DictConfig) -> dict[str, Any]:
    """Return settings by name and their values, or assert that a reason says why there are none."""
    rule = PUBLISHED["keys"][key]
    if "same" in rule:
        return dict.fromkeys(rule["same"], value)
    if "by_value" in rule:
        return dict(rule["by_value"][json.dumps(value)])
    if "settings" in rule:
        return dict(rule["settings"])
    if "choice" in rule:
        chosen = list(config.sec_obj) if rule["choice"] == "sec_obj" else [config.hydra.runtime.choices.dataset]
        assert chosen == [rule["names"][value]]
        return {}
    assert len(rule["reason"].split()) > 1
    trained = "tuning" in config.evaluator and config.evaluator.tuning is not None and value != 0
    return dict.fromkeys(rule.get("tuned", ()), value) if trained else {}


def test_every_argument_is_accounted_for():
    assert len(EXAMPLES) == len(PUBLISHED["examples"]) == 10
    assert set().union(*EXAMPLES.values()) == set(PUBLISHED["keys"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_sweeps_say_what_was_published(name, monkeypatch):
    (config,) = jobs(monkeypatch, name, "seed=0", *GIVEN.get(name, ()))
    wanted = dict(PUBLISHED["code"])
    for key, value in EXAMPLES[name].items():
        wanted |= expected(key, value, config)
    tuned = config.evaluator.tuning is not None
    assert tuned == (EXAMPLES[name]["dataset"] != "imagenet")
    wanted |= PUBLISHED["code_tuned"] if tuned else {}
    assert {key: OmegaConf.select(config, key) for key in wanted} == wanted
