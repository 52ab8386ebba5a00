"""Folders of models: ``model.json``, weights, and the files of the original tool."""

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, final
from uuid import uuid4

import torch
from safetensors.torch import save

from nas.dataset.base import Dataset
from nas.errors import LAUNCH, UserError
from nas.files import check_can_be_written, write_atomic, write_bytes, write_json, write_text
from nas.model.base import CASCADE, MODEL_FILE, TIMM, Model, ModelSource, cascade_of, preparation
from nas.model.build import fill, network_of, read_weights
from nas.model.given import check_same, dataset_of
from nas.model.layers import net_config, published_state
from nas.supernet.checkpoint import weights_digest
from nas.targets import NO_OTHERS, Allowed, own_packages
from nas.types import Progress

FORMAT = 1
WEIGHTS_FILE = "model.safetensors"

_LARGEST_CASCADE = 1000


def write_model(folder: Path, model: Model, *, overwrite: bool) -> None:
    """Write a model; the folder appears when it is complete.

    ======================  =====================================================================
    ``model.json``          description, see :class:`nas.model.base.Model`
    ``model.safetensors``   the weights
    ``net.subnet``          the architecture, of a supernet
    ``net.config``          the network layer by layer
    ``net.inherited``       the weights again, under ``state_dict``, as the original tool writes them
    ``network_<i>/``        of a cascade, instead: the folder of each network, from 1
    ``README.md``           the model card
    ======================  =====================================================================

    Args:
        folder: Folder of the model.
        model: The model.
        overwrite: Whether a folder of another model may be replaced.

    Raises:
        UserError: If the folder exists and may not be replaced.
    """
    check_free(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.tmp")
    beside.mkdir()
    try:
        _fill_folder(beside, model)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(beside, folder)  # noqa: PTH105 -- Path.replace says the same, and this is a folder
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def write_into(folder: Path, model: Model) -> None:
    """Write a model into a folder with other files; each file is written atomically.

    Args:
        folder: That exists.
        model: No cascade.
    """
    _fill_folder(folder, model)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise UserError if the folder exists and is no model, or may not be replaced."""
    check_can_be_written(folder, f"'{folder}'")
    if not folder.exists():
        return
    if not (folder / MODEL_FILE).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise UserError(f"'{folder}' exists and is no folder of a model; choose another place")
    if not overwrite:
        raise UserError(f"'{folder}' exists; add overwrite=true to replace it")


def read_model(folder: Path, *, device: str, allowed: Allowed = NO_OTHERS) -> Model:
    """Return the model of a folder, on a device; only code of ``nas`` and of ``allowed`` is run.

    Raises:
        UserError: If it is no folder of a model, or is damaged.
    """
    path = folder / MODEL_FILE
    described = _read(path)
    name = str(described["name"])
    if described.get("kind") == CASCADE:
        return _read_cascade(folder, described, device, allowed)
    network = network_of(described, path, allowed=allowed)
    weights = folder / WEIGHTS_FILE
    fill(network, read_weights(weights), weights)
    if weights_digest(network.state_dict()) != described.get("weights"):
        raise UserError(f"'{weights}' is damaged, or not of this model: its digest is not the one in {MODEL_FILE}")
    try:
        ready = preparation(network, described)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({type(error).__name__}: {error})") from error
    network.to(device).eval()
    return Model(name, network, ready.to(device).eval(), described)


@final
class FolderSource(ModelSource):
    """A folder that :func:`write_model` wrote."""

    def __init__(self, folder: Path, *, device: str, cache: Path, allowed: Allowed = NO_OTHERS) -> None:
        """Read the folder.

        Raises:
            UserError: If it is no folder of a model, or is damaged.
        """
        self._model = read_model(folder, device=device, allowed=allowed)
        self._folder, self._device, self._cache, self._allowed = folder, device, cache, allowed
        self.name, self.home = self._model.name, folder
        self.n_classes = int(self._model.described["n_classes"])
        self.is_cascade = bool(self._model.members)
        names = self._model.described.get("class_names")
        if isinstance(names, list) and len(names) == self.n_classes:
            self.class_names = tuple(map(str, names))

    def dataset(self) -> Dataset | None:
        """Return the images that the model was made for; ``None`` where the folder does not say.

        Raises:
            UserError: If they are others now.
        """
        described = self._model.described
        dataset = dataset_of(described, self._device, self._cache, self._folder / MODEL_FILE, self._allowed)
        if dataset is not None:
            check_same(dataset, described.get("data"), self._folder)
        return dataset

    def load(self, progress: Progress) -> Model:
        """Return the model."""
        return self._model


def _fill_folder(folder: Path, model: Model) -> None:
    model = replace(model, described={**model.described, "dataset": _located(model.described.get("dataset"))})
    described = {"format": FORMAT, **model.described}
    if model.members:
        places = [f"network_{place}" for place in range(1, len(model.members) + 1)]
        for place, member in zip(places, model.members, strict=True):
            (folder / place).mkdir()
            _fill_folder(folder / place, member)
        write_json(folder / MODEL_FILE, described | {"folders": places}, indent=2)
    else:
        _write_network(folder, model)
        write_json(folder / MODEL_FILE, described, indent=2)
    write_text(folder / "README.md", card(model))


def _located(node: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return settings of a data set with an absolute path."""
    if node is None or not isinstance(node.get("path"), str) or node["path"].startswith("~"):
        return node
    return {**node, "path": str(Path(node["path"]).absolute())}


def _write_network(folder: Path, model: Model) -> None:
    assert model.network is not None
    state = {key: value.detach().cpu().contiguous() for key, value in model.network.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, save(state, metadata={"format": "pt"}))
    if "architecture" in model.described:
        write_json(folder / "net.subnet", model.described["architecture"])
    config = net_config(model.network, model.described)
    if config is not None:
        write_json(folder / "net.config", config, indent=4)
        inherited = published_state(state, config)
        write_atomic(folder / "net.inherited", lambda file: torch.save({"state_dict": inherited}, file))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        described = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"'{path.parent}' is no folder of a model: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read ({error})") from error
    if not isinstance(described, dict) or not {"kind", "name", "n_classes"} <= described.keys():
        raise UserError(f"'{path}' is damaged: it describes no model")
    return described


def _read_cascade(folder: Path, described: Mapping[str, Any], device: str, allowed: Allowed) -> Model:
    path = folder / MODEL_FILE
    places = described.get("folders")
    expected = [f"network_{place}" for place in range(1, _LARGEST_CASCADE)]
    if not isinstance(places, list) or not places or places != expected[: len(places)]:
        raise UserError(f"'{path}' is damaged: its networks must be in {expected[0]}, {expected[1]}, ...")
    members = tuple(read_model(folder / place, device=device, allowed=allowed) for place in places)
    try:
        ready = cascade_of([member.ready for member in members], described)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({type(error).__name__}: {error})") from error
    return Model(str(described["name"]), None, ready.to(device).eval(), described, members)


def card(model: Model) -> str:
    """Return the model card, ``README.md``, in Markdown; its commands are meant to be typed in the model's folder."""
    described = model.described
    parts = [f"# {model.name}", _what(described), _results(described), _data(described), _weights(model)]
    return "\n\n".join(part for part in [*parts, _commands(model)] if part) + "\n"


def launch_command() -> str:
    """Return the beginning of a command line of this project that can be typed in any folder."""
    return f"python {shlex.quote(str(LAUNCH.absolute()))}" if LAUNCH.is_file() else "nas"


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
