"""Folders of models: ``model.json``, weights, and the files of the original tool."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, final
from uuid import uuid4

import torch
from safetensors.torch import save

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.files import write_atomic, write_bytes, write_json, write_text
from nas.model.base import CASCADE, MODEL_FILE, Model, ModelSource, Progress, preparation
from nas.model.build import fill, network_of, read_weights
from nas.model.card import card
from nas.model.given import check_same, dataset_of
from nas.model.layers import net_config, published_state
from nas.model.of_cascade import cascade_of_networks
from nas.supernet.checkpoint import weights_digest
from nas.targets import NO_OTHERS, Allowed

FORMAT = 1
WEIGHTS_FILE = "model.safetensors"

_LARGEST_CASCADE = 1000


def write_model(folder: Path, model: Model, *, overwrite: bool) -> None:
    """Write a model; the folder appears when everything is in it.

    ======================  =====================================================================
    ``model.json``          what it is, see :class:`nas.model.base.Model`
    ``model.safetensors``   the weights
    ``net.subnet``          the architecture, of a supernet
    ``net.config``          the network layer by layer
    ``net.inherited``       the weights again, under ``state_dict``, as the original tool writes them
    ``network_<i>/``        of a cascade, instead: the folder of each network, from 1
    ``README.md``           the model card
    ======================  =====================================================================

    Args:
        folder: of the model.
        model: the model.
        overwrite: whether a folder of another model may be replaced.

    Raises:
        UserError: if the folder exists and may not be replaced.
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
    """Write a model into a folder that holds other files too; each of its files is either whole or as it was.

    Args:
        folder: that exists.
        model: no cascade.
    """
    _fill_folder(folder, model)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise UserError if a model may not be written there: something is, and it is no model or may not be replaced."""
    check_place(folder)
    if not folder.exists():
        return
    if not (folder / MODEL_FILE).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise UserError(f"'{folder}' exists and is no folder of a model; choose another place")
    if not overwrite:
        raise UserError(f"'{folder}' exists; add overwrite=true to replace it")


def check_place(folder: Path) -> None:
    """Raise UserError if files cannot be written into a folder, which need not exist yet."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"'{folder}' cannot be written: {place} is not a folder you may write to")


def read_model(folder: Path, *, device: str, allowed: Allowed = NO_OTHERS) -> Model:
    """Return the model of a folder, on a device; no code that its files may hold is run, or name but in ``allowed``.

    Raises:
        UserError: if it is no folder of a model, or is damaged.
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
            UserError: if it is no folder of a model, or is damaged.
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
            UserError: if they are others now.
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
    """Return settings of a data set with its path absolute, so that they mean the same in any folder."""
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
        ready = cascade_of_networks([member.ready for member in members], described)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({type(error).__name__}: {error})") from error
    return Model(str(described["name"]), None, ready.to(device).eval(), described, members)
