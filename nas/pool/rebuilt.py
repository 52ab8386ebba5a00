"""The parts of a search, built again from its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

import yaml

from nas.cascade.joint_evaluator import JointEvaluator
from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.pool.stored_parts import Allowed, class_of, names_own, part_from
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.supernet.joint import Networks, Several
from nas.training.base import Training

T = TypeVar("T")
_ON_IMAGES = (SubnetEvaluator, JointEvaluator)


@final
@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What is built again where the results of a search are used.

    Attributes:
        settings: of the search, resolved.
        source: the file that they are from, for messages.
        folder: of the run.
        device: where networks are.
        cache: folder of trained supernets and decoded images.
        allowed: classes from outside ``nas`` that the settings may name.
    """

    settings: Mapping[str, Any]
    source: Path
    folder: Path
    device: str
    cache: Path
    allowed: Allowed

    def dataset(self, node: Any = None) -> Dataset:
        """Return the images; ``node`` in the place of their settings."""
        return self._part("dataset", Dataset, {}, node)  # type: ignore[type-abstract]

    def supernet(self, n_classes: int, node: Any = None) -> Supernet:
        """Return the supernet, with the weights that it comes with; ``node`` in the place of its settings."""
        return self._part("supernet", Supernet, {"n_classes": n_classes}, node)  # type: ignore[type-abstract]

    def training(self, dataset: Dataset, supernet: Supernet, kept: Mapping[Path, str]) -> Training:
        """Return the training; ``kept`` are the digests of the weights that the run began with, by file."""
        offers = {"dataset": dataset, "supernet": supernet, "space": supernet.space, "n_classes": dataset.n_classes}
        offers |= {"folder": self.folder, "kept": kept, "run_seed": self.settings.get("seed")}
        return self._part("training", Training, {**offers, "replica": None, "shares": 1})  # type: ignore[type-abstract]

    def evaluator(self, dataset: Dataset, networks: Supernet, node: Any) -> SubnetEvaluator:
        """Return what extracts networks as the run measured them; ``node`` are its settings."""
        offers = {"dataset": dataset, "supernet": networks, "objectives": ()}
        return self._part("evaluator", SubnetEvaluator, offers, node)

    @property
    def runs_networks(self) -> bool:
        """Whether subnets were run on images, alone or in cascades, and no outputs of a pool or tables looked up."""
        node = self.settings.get("evaluator")
        if not isinstance(node, Mapping):
            return False
        if names_own(node):
            return issubclass(class_of(node, "evaluator", self.source, self.allowed), _ON_IMAGES)
        return node.get("_target_") in [f"{kind.__module__}.{kind.__name__}" for kind in _ON_IMAGES]

    def _part(self, group: str, kind: type[T], offers: Mapping[str, Any], node: Any = None) -> T:
        settings = self.settings if node is None else {group: node}
        offers = {"device": self.device, "cache": self.cache, **offers}
        return part_from(settings, group, kind, offers, self.source, allowed=self.allowed)


def networks_of(supernet: Supernet) -> Supernet:
    """Return what networks are cut out of: the supernet, or :class:`Networks` of several."""
    return Networks(supernet) if isinstance(supernet, Several) else supernet


def check_way_back(search: Rebuilt) -> None:
    """Raise UserError if a search's own parts could not be built again from the settings that its folder will hold.

    Nothing is built where no part is from outside ``nas``.

    Args:
        search: that is about to begin.
    """
    settings = search.settings
    own = {name for name in ("dataset", "supernet", "training", "evaluator") if names_own(settings.get(name))}
    if not own:
        return
    stored = Rebuilt(**{**vars(search), "settings": yaml.safe_load(yaml.safe_dump(dict(settings)))})
    dataset = stored.dataset()
    if "dataset" in own:
        _check_contract(dataset, Dataset, "dataset", settings)
        if stored.dataset().fingerprint != dataset.fingerprint:
            raise UserError(
                f"{_name(settings, 'dataset')} is another data set each time that it is built: its fingerprint must "
                f"follow from its settings"
            )
    node = stored.settings["supernet"]
    if "supernet" in own and "checkpoint" in node:
        node = node | {"checkpoint": RANDOM}  # folders of models have weights of their own
    supernet = stored.supernet(dataset.n_classes, node)
    if "supernet" in own:
        _check_contract(supernet, Supernet, "supernet", settings)
    if "training" in own:
        stored.training(dataset, supernet, {})
    if "evaluator" in own and stored.runs_networks:
        node = stored.settings["evaluator"]
        stored.evaluator(dataset, networks_of(supernet), node.get("networks", node))


def _check_contract(part: object, kind: type[Any], group: str, settings: Mapping[str, Any]) -> None:
    """Raise UserError if a part lacks what its base class says that there is."""
    for name in kind.__annotations__:
        if not hasattr(part, name):
            raise UserError(f"{_name(settings, group)} has no '{name}', which every {kind.__name__} has")


def _name(settings: Mapping[str, Any], group: str) -> str:
    return f"{group}._target_={settings[group]['_target_']}"
