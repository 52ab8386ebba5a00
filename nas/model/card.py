"""Model cards."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nas
from nas.model.base import CASCADE, TIMM, Model
from nas.targets import own_packages


def card(model: Model) -> str:
    """Return ``README.md`` of a model's folder, in Markdown; its commands are typed in that folder, wherever it is."""
    described = model.described
    parts = [f"# {model.name}", _what(described), _results(described), _data(described), _weights(model)]
    return "\n\n".join(part for part in [*parts, _commands(model)] if part) + "\n"


def launch_command() -> str:
    """Return the beginning of a command line of this project that can be typed in any folder."""
    launch = Path(nas.__file__).absolute().parents[1] / "launch.py"
    return f"python {shlex.quote(str(launch)) if launch.is_file() else launch.name}"


def _what(described: Mapping[str, Any]) -> str:
    n, source = described["n_classes"], described["source"]
    if described["kind"] == CASCADE:
        text = f"A cascade of {len(described['network_costs'])} networks for {n:,} classes."
        rule = "averages their probabilities" if described["rule"] == "average" else "takes the last one's answer"
        limits = ", ".join("none" if limit is None else f"{limit:g}" for limit in described["limits"])
        text += f" An image goes on until a network is sure enough (thresholds {limits}); the cascade {rule}."
    elif described["kind"] == TIMM:
        text = f"timm's `{described['timm']}` for {n:,} classes."
    else:
        text = f"An image classifier for {n:,} classes; its input has {described['resolution']} pixels a side."
    place = f"front member {source['index']} of the run `{source['run']}`" if source.get("index") is not None else ""
    others = ", ".join(f"{key} `{value}`" for key, value in source.items() if value is not None)
    return f"{text} Source: {place or others}."


def _results(described: Mapping[str, Any]) -> str:
    rows = [(name, value, described["units"].get(name, "")) for name, value in described["objectives"].items()]
    costs = {"flops": "M multiply-adds", "params": "M"}
    rows += [(name, described["costs"][name], unit) for name, unit in costs.items() if name in described["costs"]]
    for split, metrics in described["metrics"].items():
        units = {"top1": "%", "top5": "%", "loss": "nats"}
        rows += [(f"{split} {name}", metrics[name], unit) for name, unit in units.items() if name in metrics]
    unique = list(dict.fromkeys(rows))
    table = [f"| {name} | {value:.6g} | {unit} |" for name, value, unit in unique]
    return "\n".join(["| | value | unit |", "|---|---|---|", *table])


def _data(described: Mapping[str, Any]) -> str:
    node = described.get("dataset")
    if not node:
        return "Data: unknown; images are normalised with ImageNet's mean and standard deviation."
    facts = {key: node[key] for key in ("path", "split_seed", "vld_size", "test_size") if key in node}
    listed = ", ".join(f"{key} {value}" for key, value in facts.items())
    return f"Data: `{node['_target_']}` ({listed})." if listed else f"Data: `{node['_target_']}`."


def _weights(model: Model) -> str:
    if model.members:
        digests = [f"- `network_{i}/`: {m.described['weights']}" for i, m in enumerate(model.members, start=1)]
        return "\n".join(["SHA-256 of the networks' tensors and their names:", "", *digests])
    state = "statistics of its own" if model.described.get("recalibrated") else "the statistics in its weights' file"
    return f"SHA-256 of the tensors and their names: {model.described['weights']}. Batch-norm has {state}."


def _commands(model: Model) -> str:
    packages = own_packages([each.described for each in (model, *model.members)])
    word = f" 'allow=[{','.join(packages)}]'" if packages else ""
    argument = f", allow={json.dumps(packages)}" if packages else ""
    lines = [
        "In this folder:",
        "",
        "```sh",
        f"{launch_command()} task=validate model=.{word}",
        "```",
        "",
        "```python",
        "import nas",
        f'model = nas.load("."{argument})    # an nn.Module in eval mode; anywhere else, the path of this folder',
        "answers = model(images)  # (n, 3, height, width), pixels scaled to 0..1",
        "```",
    ]
    if model.described["kind"] == CASCADE:
        lines[-2] += "; .predictions are classes"
    return "\n".join(lines)
