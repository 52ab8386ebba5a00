"""What a command line names where no weights are needed: an architecture of a supernet, one network, or a cascade."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.files import expanded, read_json
from nas.model.base import ARCHITECTURE, CASCADE, MODEL_FILE, Model, silent
from nas.model.find import TIMM_PREFIX, find_source, front_of
from nas.model.front import BEST, Front, Member, is_file, is_member, read_architecture
from nas.model.given import NOTHING, Given, dataset_of
from nas.model.layers import STATIC
from nas.model.net_config import architectures, is_net_config, kind_of
from nas.model.of_run import RunFront
from nas.run.folder import RunFolder
from nas.supernet.checkpoint import RANDOM


@dataclass(frozen=True)
class Subnet:
    """An architecture of a supernet.

    Attributes:
        name: short.
        architecture: its choices, the resolution ``r`` among them if it is known.
        file: that holds it, for messages; ``None`` where it was typed or is a member of a front.
        supernet: settings of its supernet; ``None`` where the command line is to name it.
        n_classes: outputs of the classifier; ``None`` where nothing says it.
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
        name: short.
        costs: in their units, by name; ``flops`` is the average over images, in millions.
        networks: name of each network, in their order.
        network_flops: multiply-adds of each, in millions; empty where nothing says them.
    """

    name: str
    costs: Mapping[str, float]
    networks: tuple[str, ...]
    network_flops: tuple[float, ...]


Subject = Subnet | Model | CascadeOf


def find_subject(
    *, run: Path | None, arch: str | int | Mapping[str, Any], model: str | None, resolution: int | None, given: Given
) -> Subject:
    """Return what is named; networks that files describe layer by layer, and timm's, are built with random weights.

    Args:
        run: folder of a finished run, of which ``arch`` is a member or an architecture.
        arch: ``"best"``, an index of ``front.json``, or an architecture as JSON or as a file; without ``run``, an
            architecture.
        model: folder of a model, a ``net.config``, a ``.subnet`` file, or ``timm:NAME``.
        resolution: side of the square input in pixels; ``None`` for the one that is known of the model.
        given: what else is named.

    Raises:
        UserError: if they name none, or two, or what they name is absent or damaged.
    """
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
        return _of_file(str(arch), "arch", resolution, given)
    if arch != BEST:
        raise UserError("arch=... names an architecture of a run: add run=FOLDER, or leave arch or model out")
    if model.startswith(TIMM_PREFIX) or expanded(model, "model").is_dir():
        return _of_model(model, resolution, given)
    return _of_file(model, "model", resolution, given)


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


def _n_classes(settings: Mapping[str, Any], folder: Path, given: Given) -> int | None:
    dataset = dataset_of(settings, given.device, given.cache, folder / "config.yaml", given.allowed)
    return None if dataset is None else dataset.n_classes


def _of_model(model: str, resolution: int | None, given: Given) -> Subject:
    source = find_source(
        run=None,
        arch=BEST,
        model=model,
        weights=RANDOM if model.startswith(TIMM_PREFIX) else None,
        resolution=resolution if model.startswith(TIMM_PREFIX) else None,
        recalibrate=False,
        given=given,
    )
    found = source.load(silent)
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
    if kind_of(config) == STATIC and is_net_config(config):
        if not given.names("supernet"):
            raise UserError(f"'{path}' is a network of AttentiveNAS's supernet: add supernet=alphanet or attentivenas")
        (config,) = architectures(config, (), path)
        return Subnet(_short(path), config, path)
    if not is_net_config(config):
        return Subnet(_short(path), config, path, *((None, None) if given.names("supernet") else _beside(path, given)))
    keys: dict[str, Any] = {"run": None, "arch": BEST, "model": name, "weights": RANDOM, "recalibrate": False}
    return find_source(**keys, resolution=resolution, given=given).load(silent)


def _short(path: Path) -> str:
    return path.resolve().parent.name if path.name in ("net.config", "net.subnet") else path.stem


def _beside(path: Path, given: Given) -> tuple[Mapping[str, Any] | None, int | None]:
    """Return settings of the supernet and the number of classes that a model's or a run's folder says of its file."""
    folder = path.resolve().parent
    try:
        if (folder / MODEL_FILE).is_file():
            described = read_json(folder / MODEL_FILE)
            return described["supernet"], int(described["n_classes"])
        settings = RunFolder(folder.parent).settings()
        return settings["supernet"], _n_classes(settings, folder.parent, given)
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
