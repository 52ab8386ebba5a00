"""Models by the settings of a command line: with weights, or only their structure."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from nas.errors import UserError, typed
from nas.files import expanded, read_json
from nas.model.base import (
    ARCHITECTURE,
    BEST,
    CASCADE,
    MODEL_FILE,
    Front,
    Member,
    Model,
    ModelSource,
    is_file,
    is_member,
    read_architecture,
    silent,
)
from nas.model.file import ConfigSource, SubnetSource
from nas.model.folder import FolderSource
from nas.model.given import NOTHING, Given, dataset_of
from nas.model.layers import STATIC
from nas.model.net_config import architectures, is_net_config, kind_of
from nas.model.old_run import OldFront, is_old_run
from nas.model.run import RunFront
from nas.run.folder import RunFolder
from nas.supernet.checkpoint import RANDOM
from nas.targets import Allowed, checked_packages
from nas.types import PositiveInt

TIMM_PREFIX = "timm:"
"""What a model's name begins with that is timm's."""

Arch = str | int | dict[str, Any]
"""The type of the setting ``arch``."""


@dataclass(frozen=True, kw_only=True)
class ModelKeys:
    """The settings that name a model.

    Attributes:
        run: Folder of a finished run, of which ``arch`` is a member or an architecture.
        arch: ``"best"``, an index of ``front.json``, or an architecture as JSON or as a file.
        model: Model in place of a run: a folder that holds ``model.json``, a ``net.config`` or ``.subnet`` file, or
            ``timm:NAME``.
        weights: Weights of a model that is a file or timm's: a path or ``"random"``.
        r: Side of the square input in pixels, where the model does not say it; timm's have their own.
    """

    run: Path | None = None
    arch: str | int | Mapping[str, Any] = BEST
    model: str | None = None
    weights: str | None = None
    r: PositiveInt | None = None


class ModelOptions(TypedDict, total=False):
    """Settings of tasks that name a model; see :class:`ModelKeys`.

    Attributes:
        run: Folder of a finished run, of which ``arch`` is a member or an architecture.
        arch: ``"best"``, an index of ``front.json``, or an architecture as JSON or as a file.
        model: Model in place of a run: a folder of a model, a ``net.config`` or ``.subnet`` file, or ``timm:NAME``.
        weights: Weights of a file or a timm model: a path or ``"random"``.
        r: Side of the square input in pixels, where the model does not say it.
    """

    run: Path | None
    arch: Arch
    model: str | None
    weights: str | None
    r: PositiveInt | None


def find_source(keys: ModelKeys, *, recalibrate: bool, given: Given) -> ModelSource:
    """Return the source of the model that these settings name; nothing is trained, run or written.

    Args:
        keys: Settings that name the model.
        recalibrate: Whether architectures of runs get batch-norm statistics of their own, as their run computed them.
        given: Other settings of the command line.

    Raises:
        UserError: If they name none, or two, or what they name is absent, damaged, or does not fit.
    """
    if (keys.run is None) == (keys.model is None):
        raise UserError("name one model: run=FOLDER (and arch=INDEX), or model=FOLDER, FILE or timm:NAME")
    if keys.run is not None:
        if keys.weights is not None:
            raise UserError("a run has its own weights: weights=FILE goes with model=FILE")
        return front_of(keys.run, recalibrate=recalibrate, given=given).chosen(keys.arch)
    model, weights = keys.model, keys.weights
    assert model is not None
    if keys.arch != BEST:
        raise UserError("arch=... names an architecture of a run: add run=FOLDER, or leave arch out")
    if not model:
        raise UserError("model is empty, as it is where a shell variable is not set: give a path (. for this folder)")
    if model.startswith(TIMM_PREFIX):
        from nas.model.timm import named

        return named(model.removeprefix(TIMM_PREFIX), weights, keys.r, given)
    path = expanded(model, "model")
    if path.is_dir():
        if weights is not None:
            raise UserError(f"the folder '{model}' has its own weights: weights=FILE goes with model=FILE")
        return FolderSource(path, device=given.device, cache=given.cache, allowed=given.allowed)
    return _file_source(path, weights, keys.r, given)


def loaded(
    path: str | Path,
    arch: str | int,
    device: str,
    allow: Sequence[str] = (),
    *,
    cache: Path | None = None,
    parts: Mapping[str, Any] | None = None,
) -> Model:
    """Return the model of a folder of a model or a run.

    Args:
        path: Folder.
        arch: Member of a run's front, see :func:`nas.load`.
        device: Torch device of the network.
        allow: Packages of the user's own whose classes the folder may name.
        cache: Folder of downloaded files and decoded images; None for the command line's default.
        parts: Objects by group that the run was made with in place of settings.

    Raises:
        UserError: If there is no such model.
    """
    folder = expanded(path, "path")
    if cache is None:
        cache = expanded(os.environ.get("NAS_CACHE", "~/.cache/nas"), "NAS_CACHE")
    given = Given(
        settings={}, device=device, cache=cache, allowed=Allowed(checked_packages(allow)), parts=dict(parts or {})
    )
    is_model = (folder / MODEL_FILE).is_file()
    keys = ModelKeys(model=str(folder), arch=arch) if is_model else ModelKeys(run=folder, arch=arch)
    return find_source(keys, recalibrate=True, given=given).load(silent)


def front_of(run: Path, *, recalibrate: bool, given: Given, second: str = "flops") -> Front:
    """Return the front of a finished run, of this project or of the original tool.

    Args:
        run: The folder; of the original tool's results also one of their files, ``iter_<k>.stats``.
        recalibrate: Whether its networks get batch-norm statistics of their own.
        given: Device and cache; for the original tool's folders also supernet and data.
        second: Name of the second objective in the original tool's folders that do not tell it.

    Raises:
        UserError: If the folder holds none.
    """
    folder = expanded(run, "run")
    if is_old_run(folder):
        return OldFront(folder, recalibrate=recalibrate, second=second, given=given)
    if not folder.is_dir():
        raise UserError(f"run={run} is no folder that exists")
    if (folder / MODEL_FILE).exists():
        raise UserError(f"run={run} is the folder of a model: name it with {typed('model', run)}")
    return RunFront(folder, recalibrate=recalibrate, given=given)


def _file_source(path: Path, weights: str | None, resolution: int | None, given: Given) -> ModelSource:
    if not path.is_file():
        raise UserError(
            f"model={path} does not exist; give a folder of task=select, a net.config or .subnet file, or "
            f"{TIMM_PREFIX}NAME"
        )
    config = read_architecture(str(path), f"a folder, {TIMM_PREFIX}NAME", key="model")
    if config.get("name") == STATIC:  # its authors' code builds no network from it; the supernet does
        (config,) = architectures(config, (), path)
    elif is_net_config(config):
        return ConfigSource(path, config, weights=weights, resolution=resolution, given=given)
    elif not given.names("supernet"):
        _refuse_part(path)
    return SubnetSource(path, config, weights=weights, resolution=resolution, given=given)


def _refuse_part(path: Path) -> None:
    """Raise UserError if a file belongs to the folder of a model or of a run, which has the weights."""
    folder, run = path.parent, path.absolute().parent.parent
    if (folder / MODEL_FILE).is_file():
        raise UserError(f"model={path} is a part of a model: name that with {typed('model', folder)}")
    if (run / "config.yaml").is_file():
        raise UserError(f"model={path} is a part of a run: name it with {typed('run', run)} {typed('arch', path)}")


@dataclass(frozen=True)
class Subnet:
    """An architecture of a supernet.

    Attributes:
        name: Short.
        architecture: Its choices, the resolution ``r`` among them if it is known.
        file: That holds it, for messages; ``None`` where it was typed or is a member of a front.
        supernet: Settings of its supernet; ``None`` where the command line is to name it.
        n_classes: Outputs of the classifier; ``None`` where nothing says it.
    """

    name: str
    architecture: Mapping[str, Any]
    file: Path | None = None
    supernet: Mapping[str, Any] | None = None
    n_classes: int | None = None


@dataclass(frozen=True)
class CascadeOf:
    """A cascade of networks.

    Attributes:
        name: Short.
        costs: In their units, by name; ``flops`` is the average over images, in millions.
        networks: Name of each network, in their order.
        network_flops: Multiply-adds of each, in millions; empty where nothing says them.
    """

    name: str
    costs: Mapping[str, float]
    networks: tuple[str, ...]
    network_flops: tuple[float, ...]


Subject = Subnet | Model | CascadeOf
"""What a task needs that looks at no weights."""


def find_subject(keys: ModelKeys, given: Given) -> Subject:
    """Return the named subject; networks described layer by layer and timm models are built with random weights.

    Args:
        keys: Settings that name the model, without weights; ``arch`` may be an architecture of no run.
        given: Other settings of the command line.

    Raises:
        UserError: If they name none, or two, or what they name is absent or damaged.
    """
    run, arch, model = keys.run, keys.arch, keys.model
    if (run is not None and model is not None) or (run is None and model is None and is_member(arch)):
        raise UserError(
            f"name one model: run=FOLDER (and arch=INDEX), model=FOLDER, FILE or {TIMM_PREFIX}NAME, or arch=FILE"
        )
    if run is not None:
        return _of_run(run, arch, given)
    if model is None:
        assert not isinstance(arch, int)
        if not is_file(arch):
            return Subnet("net", read_architecture(arch, "a file"))
        return _of_file(str(arch), "arch", keys.r, given)
    if arch != BEST:
        raise UserError("arch=... names an architecture of a run: add run=FOLDER, or leave arch or model out")
    if model.startswith(TIMM_PREFIX):
        timm = ModelKeys(model=model, weights=RANDOM, r=keys.r)
        return find_source(timm, recalibrate=False, given=given).load(silent)
    if expanded(model, "model").is_dir():
        return _of_folder(model, given)
    return _of_file(model, "model", keys.r, given)


def _of_run(run: Path, arch: str | int | Mapping[str, Any], given: Given) -> Subject:
    front = front_of(run, recalibrate=False, given=given)
    if not is_member(arch):
        assert not isinstance(arch, int)
        file = Path(str(arch)) if is_file(arch) else None
        config = read_architecture(arch, f"an index, {BEST}")
        return Subnet("net" if file is None else file.stem, config, file, *_stored(front))
    index = front.index(arch)
    member = front.members[index]
    if member.is_cascade:
        costs = {m.name: value for m, value in zip(front.measures[1:], member.objectives[1:], strict=True)}
        return CascadeOf(f"cascade-{index}", costs, *_networks(member))
    return Subnet(f"net-{index}", member.architecture, None, *_stored(front))


def _networks(member: Member) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names of a cascade's networks in their order, and the multiply-adds of each in millions if known."""
    architecture = member.architecture
    if "networks" in architecture:
        return tuple(map(str, architecture["networks"])), ()
    names = sorted(architecture, key=lambda name: -architecture[name]["position"])
    metrics = member.facts["metrics"]
    return tuple(names), tuple(metrics[f"{name}_flops"] for name in names)


def _stored(front: Front) -> tuple[Mapping[str, Any] | None, int | None]:
    """Return settings of the supernet and the number of classes of a run."""
    if not isinstance(front, RunFront):
        return None, None  # results of the original tool, whose supernet the command line names
    node = front.run.settings.get("supernet") or {}
    if "members" in node or node.get("_target_") in (None, NOTHING["supernet"]):
        raise UserError(f"run: '{front.folder}' searched no architectures of one supernet")
    return node, front.run.dataset.n_classes


def _of_folder(model: str, given: Given) -> Subject:
    found = find_source(ModelKeys(model=model), recalibrate=False, given=given).load(silent)
    described = found.described
    if described["kind"] == CASCADE:
        names = tuple(member.name for member in found.members)
        return CascadeOf(found.name, described["costs"], names, tuple(map(float, described["network_costs"])))
    if described["kind"] == ARCHITECTURE:
        file = expanded(model, "model") / MODEL_FILE
        return Subnet(found.name, described["architecture"], file, described["supernet"], described["n_classes"])
    return found


def _of_file(name: str, key: str, resolution: int | None, given: Given) -> Subject:
    path = expanded(name, key)
    if not path.is_file():
        others = f"a folder, {TIMM_PREFIX}NAME, a net.config or .subnet file" if key == "model" else "JSON or a file"
        raise UserError(f"{key}={name} does not exist; give {others}")
    config = read_architecture(name, "a file", key=key)
    short = path.resolve().parent.name if path.name in ("net.config", "net.subnet") else path.stem
    if kind_of(config) == STATIC and is_net_config(config):
        if not given.names("supernet"):
            raise UserError(f"'{path}' is a network of AttentiveNAS's supernet: add supernet=alphanet or attentivenas")
        (config,) = architectures(config, (), path)
        return Subnet(short, config, path)
    if not is_net_config(config):
        return Subnet(short, config, path, *((None, None) if given.names("supernet") else _beside(path, given)))
    keys = ModelKeys(model=name, weights=RANDOM, r=resolution)
    return find_source(keys, recalibrate=False, given=given).load(silent)


def _beside(path: Path, given: Given) -> tuple[Mapping[str, Any] | None, int | None]:
    """Return the supernet's settings and the number of classes from the model or run folder of a file."""
    folder = path.resolve().parent
    try:
        if (folder / MODEL_FILE).is_file():
            described = read_json(folder / MODEL_FILE)
            return described["supernet"], int(described["n_classes"])
        settings = RunFolder(folder.parent).settings()
        supernet = settings["supernet"]
        dataset = dataset_of(settings, given.device, given.cache, folder.parent / "config.yaml", given.allowed)
        return supernet, None if dataset is None else dataset.n_classes
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
