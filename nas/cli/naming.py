"""Names that follow from settings: equal settings, equal run folder and wandb group."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.command import SHELVES
from nas.run.folder import result_settings


def register_resolvers() -> None:
    """Make the resolvers of ``conf`` known to OmegaConf; a second call does nothing.

    ``${run_group:}``, ``${relative_path:to,from}``, ``${sweep_name:}``, ``${shelves:}``, the folder of scales, and
    ``${next_seed:seed,k}``, the k-th after a seed of 0 to 9.
    """
    OmegaConf.register_new_resolver("run_group", _run_group, replace=True)
    OmegaConf.register_new_resolver("next_seed", lambda seed, k: (int(seed) + int(k)) % 10, replace=True)
    OmegaConf.register_new_resolver("relative_path", os.path.relpath, replace=True)
    OmegaConf.register_new_resolver("shelves", lambda: str(SHELVES.absolute()), replace=True)
    name_sweep("unnamed")


def name_sweep(name: str) -> None:
    """Give ``${sweep_name:}`` its value, which no job's settings alone could say."""
    OmegaConf.register_new_resolver("sweep_name", lambda: name, replace=True)


def sweep_name(configs: Sequence[DictConfig], config_name: str) -> str:
    """Return a short name of the runs of one command line, for example ``digits-tiny-msunas-flops-81fa02``.

    The same runs give the same name, whatever starts them and whatever else may change. Where the runs' groups differ,
    their words stand side by side.

    Args:
        configs: The settings of every run, Hydra's own under ``hydra``.
        config_name: The primary file of settings; ``"config"`` says nothing.
    """
    groups = [run_group(config, config.hydra.runtime.choices) for config in configs]
    runs = sorted(
        [group, config.seed, os.path.relpath(config.hydra.run.dir, config.paths.outputs)]
        for group, config in zip(groups, configs, strict=True)
    )
    digest = sha256(json.dumps(runs).encode()).hexdigest()[:6]
    parts = [group.split("-")[:-1] for group in groups]
    words = zip(*parts, strict=False) if config_name == "config" else [[Path(config_name).name]]
    shown = "-".join("_".join(dict.fromkeys(word)) for word in words)
    return f"{re.sub('[^A-Za-z0-9_-]', '-', shown)[:80]}-{digest}"


def run_group(config: DictConfig, choices: Mapping[str, Any]) -> str:
    """Return a short name of all settings that matter but the seed, for example ``digits-tiny-msunas-flops-3f2a91``.

    Letters, digits, ``-`` and ``_`` only. The six digits at the end are a hash of the settings.
    """
    settings = {
        key: _resolved(config, key) for key in result_settings(dict.fromkeys(map(str, config))) if key != "hydra"
    }
    digest = sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:6]
    if choices.get("task") == "finetune":
        return _spelt([choices.get("experiment") or f"finetune-{choices['finetuning']}", digest])
    shown = ("dataset", "supernet") if choices.get("space", "supernet") == "supernet" else ("space",)
    chosen = dict(choices)
    if chosen.get("supernet") == "several":
        chosen["supernet"] = "-".join(map(str, config.supernet.get("members", ())))
    words = [chosen.get("experiment") or "-".join(str(chosen[group]) for group in (*shown, "algorithm"))]
    words += [str(name) for name in config.sec_obj]
    return _spelt([*words, digest])


def _spelt(words: Sequence[str]) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in "-".join(words))


def _resolved(config: DictConfig, key: str) -> Any:
    node = config._get_node(key)
    try:
        return OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig | ListConfig) else config[key]
    except OmegaConfBaseException:  # a value is missing, which the checks report
        return None


def _run_group(*, _root_: Container) -> str:
    assert isinstance(_root_, DictConfig)
    choices = _root_.hydra.runtime.choices if "hydra" in _root_ else HydraConfig.get().runtime.choices
    return run_group(_root_, choices)
