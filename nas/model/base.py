"""Models with their weights, their sources, and fronts whose members they are."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from nas.cascade.module import Cascade, GapCascade
from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.files import expanded
from nas.pool.prepared import Crop, Prepared
from nas.space.joint import is_cascade
from nas.types import Measure, Progress

ARCHITECTURE, NET_CONFIG, TIMM, CASCADE = "architecture", "net_config", "timm", "cascade"
"""The kinds of models."""

AVERAGE, GAP = "average", "gap"
"""How a cascade answers: by averages over the networks that were asked, or by the last one."""

MODEL_FILE = "model.json"
"""What makes a folder the folder of a model."""

BEST = "best"
"""The word for the most accurate member of a front."""


@dataclass(frozen=True)
class Model:
    """A model with its weights.

    Attributes:
        name: Short, for example ``"net-flops@150"``.
        network: In eval mode: normalized images, (n, 3, r, r), to logits, (n, c); ``None`` of a cascade.
        ready: In eval mode: pixels scaled to 0..1, (n, 3, height, width), to logits, (n, c); a cascade's returns
            :class:`nas.cascade.module.Routed`.
        described: Plain values that ``model.json`` holds. Of every model ``kind``, ``name``, ``n_classes``,
            ``class_names`` (or ``None``), ``costs`` (``flops`` and ``params`` in millions), ``objectives`` and
            ``metrics`` (as far as they are known), ``dataset`` and ``evaluator`` (settings, or ``None``), ``data``
            (:func:`nas.model.given.data_of`, or ``None``) and ``source``. Of all but cascades also ``resolution``,
            ``mean``, ``std``, ``crop`` (see :func:`preparation`) and ``weights``, the digest of the tensors; then what
            the network is built from:

            * ``architecture``: ``supernet`` (settings), ``architecture``, ``genome``
            * ``net_config``: ``net_config``
            * ``timm``: ``timm``, the model's name, and ``version``, timm's
            * ``cascade``: ``rule`` (``average`` or ``gap``), ``limits`` (``None`` for infinity), ``network_costs``
        members: The networks of a cascade, in their order.
    """

    name: str
    network: nn.Module | None
    ready: nn.Module
    described: Mapping[str, Any]
    members: tuple["Model", ...] = ()


class ModelSource(ABC):
    """Base class for sources of a model. The constructor finds all errors; it trains, runs and writes nothing.

    Attributes:
        name: Name of the model.
        n_classes: Outputs.
        class_names: One an output; ``None`` where they are unknown.
        home: The folder of the run or model, into which results about it belong; ``None`` where it has none.
        is_cascade: Whether the model is a cascade of networks.
    """

    name: str
    n_classes: int
    class_names: tuple[str, ...] | None = None
    home: Path | None = None
    is_cascade: bool = False

    @abstractmethod
    def dataset(self) -> Dataset | None:
        """Return the images that the model was made for; ``None`` where nothing is known about them."""

    @abstractmethod
    def load(self, progress: Progress) -> Model:
        """Return the model."""


@dataclass(frozen=True)
class Member:
    """One architecture or cascade of a front.

    Attributes:
        architecture: As ``front.json`` says it.
        objectives: In the order of the front's measures, all minimized; the error is that with the final weights.
        facts: Further records of the run: ``metrics``, ``test``, ``step``, ...
    """

    architecture: Mapping[str, Any]
    objectives: tuple[float, ...]
    facts: Mapping[str, Any]

    @property
    def is_cascade(self) -> bool:
        """Whether it is a cascade: of a pool's networks, or of one network from each of several supernets."""
        return is_cascade(self.architecture)


class Front(ABC):
    """Members in the order of ``front.json``.

    Attributes:
        folder: Run folder.
        measures: Names and units of the objectives, the top-1 error first.
        members: At least one.
    """

    folder: Path
    measures: tuple[Measure, ...]
    members: Sequence[Member]

    @abstractmethod
    def source(self, index: int) -> ModelSource:
        """Return the source of a member's model.

        Raises:
            UserError: If it has no network.
        """

    @abstractmethod
    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return the source of the model of any architecture of the run's supernet.

        Raises:
            UserError: If it is none, or the run searched no subnets.
        """

    @property
    def best(self) -> int:
        """The index of the most accurate member, with the final weights."""
        return min(range(len(self.members)), key=lambda index: self.members[index].objectives)

    def index(self, arch: str | int | Mapping[str, Any]) -> int:
        """Return the index of the member that a command line names.

        Raises:
            UserError: If there is no such member.
        """
        if arch == BEST:
            return self.best
        index, last = int(str(arch)), len(self.members) - 1
        if not 0 <= index <= last:
            raise UserError(f"arch={index} is no member of the front in '{self.folder}', which has 0 to {last}")
        return index

    def chosen(self, arch: str | int | Mapping[str, Any]) -> ModelSource:
        """Return the source of the model that a command line names.

        Args:
            arch: ``"best"``, an index, or an architecture as JSON, as a file (``.subnet``) or as it is.

        Raises:
            UserError: If there is no such member, file or architecture.
        """
        if is_member(arch):
            return self.source(self.index(arch))
        assert not isinstance(arch, int)
        name = Path(str(arch)).stem if is_file(arch) else "net"
        config = read_architecture(arch, f"an index, {BEST}")
        try:
            return self.source_of(config, name)
        except UserError as error:
            raise UserError(f"'{arch}': {error}" if is_file(arch) else str(error)) from error


def is_member(arch: str | int | Mapping[str, Any]) -> bool:
    """Return whether a command line names a member of a front instead of an architecture."""
    return arch == BEST or isinstance(arch, int) or (isinstance(arch, str) and arch.lstrip("-").isdigit())


def is_file(arch: str | Mapping[str, Any]) -> bool:
    """Return whether an architecture is given as a file instead of JSON or a mapping."""
    return isinstance(arch, str) and not arch.lstrip().startswith("{")


def read_architecture(arch: str | Mapping[str, Any], others: str, key: str = "arch") -> Mapping[str, Any]:
    """Return an architecture that is given as JSON, as a file, or as a mapping.

    Args:
        arch: Value of the setting.
        others: Alternatives to name in messages.
        key: The setting, for messages.

    Raises:
        UserError: If there is no such file, or it holds no JSON object.
    """
    if isinstance(arch, Mapping):
        return arch
    text = arch
    if not arch.lstrip().startswith("{"):
        path = expanded(arch, "arch")
        if not path.is_file():
            raise UserError(f"{key}={arch} is no file that exists; give {others}, JSON or a file")
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{key}={arch} cannot be read: {error}") from error
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError(f"{key}={arch} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{key}={arch} must hold a JSON object")
    return config


def silent(activity: str, done: int, total: int) -> None:
    """Tell nobody."""


def preparation(network: nn.Module, described: Mapping[str, Any]) -> Prepared:
    """Return a network with the preprocessing that ``model.json`` describes.

    ``crop`` is the share of the sides that is kept, in the center, before images are resized; or ``mode`` and ``side``
    of :class:`nas.pool.prepared.Crop`.
    """
    crop = described["crop"]
    return Prepared(
        network,
        mean=_three(described["mean"]),
        std=_three(described["std"]),
        resolution=int(described["resolution"]),
        crop=Crop(mode=crop["mode"], side=int(crop["side"])) if isinstance(crop, Mapping) else float(crop),
    )


def cascade_of(networks: Sequence[nn.Module], described: Mapping[str, Any]) -> Cascade:
    """Return the cascade that ``model.json`` describes, of networks with their preprocessing."""
    limits = [math.inf if limit is None else float(limit) for limit in described["limits"]]
    kind = GapCascade if described["rule"] == GAP else Cascade
    return kind(list(networks), limits, described["network_costs"])


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third
