"""``task=profile``: cost of one model, without its weights and without images."""

import json as json_format
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from torch import nn

from nas.errors import UserError
from nas.experiment import Experiment
from nas.files import expanded
from nas.model.base import Model
from nas.model.file import check_runs, encoded
from nas.model.find import Arch, CascadeOf, ModelKeys, Subject, Subnet, find_subject
from nas.model.given import Given, given_by
from nas.model.net_config import NAMES, architectures, kind_of, outputs
from nas.objective.base import Cost
from nas.objective.latency_table import LatencyTable
from nas.plotting.architecture import FORMATS, architecture_figure, layers_of, part_of
from nas.pool.timm_models import counted
from nas.space.joint import is_cascade
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.task.base import Task
from nas.types import MILLION, Genomes, PositiveInt

_EXACT = ("flops", "params")
"""Costs that are always printed."""

_TITLES = {"macs": "FLOPs (M)", "params": "parameters (M)"}


@dataclass
class _Profile:
    """Costs of one network.

    Attributes:
        title: Title of the profile.
        name: Name of the model.
        macs, params: Exact numbers of multiply-adds and parameters.
        resolution: Side of the square input in pixels.
        network: Network to draw.
        architecture: Configuration of the architecture; ``None`` for a network that is not a subnet.
        others: Further costs with their units, by name.
        detail: Cost of each part of the network, by kind of cost.
    """

    title: str
    name: str
    macs: int
    params: int
    resolution: int
    network: nn.Module
    architecture: Mapping[str, Any] | None = None
    others: dict[str, tuple[float, str]] = field(default_factory=dict)
    detail: dict[str, Mapping[str, float]] = field(default_factory=dict)


@final
class ProfileTask(Task):
    """Task that prints the cost of a model: FLOPs (multiply-adds), parameters, and the latency from a latency table.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> architecture = '{"ks": [3, 3, 3], "e": [2, 2, 2], "d": [1, 1, 1], "r": 8, "w": 1.0}'
        >>> task = experiment_of(["task=profile", "supernet=tiny", f"arch='{architecture}'", "classes=10"]).part("task")
        >>> "FLOPs" in task.run()
        True
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        run: Path | None = None,
        arch: Arch = "best",
        model: str | None = None,
        r: PositiveInt | None = None,
        classes: PositiveInt | None = None,
        detail: bool = False,
        picture: Path | None = None,
        json: bool = False,
    ) -> None:
        """Set the model and the form of the output.

        Args:
            experiment: Experiment of the command line. Only ``supernet``, ``sec_obj`` and, for the number of classes,
                ``dataset`` are used.
            run: Folder of a finished run; ``arch`` selects one of its architectures.
            arch: ``"best"``, an index into ``front.json``, or an architecture as JSON or as a file.
            model: Model in place of a run: a model folder, a ``net.config`` or ``.subnet`` file, or ``timm:NAME``.
            r: Side of the square input in pixels; ``None`` for the model's own.
            classes: Number of outputs of the classifier of an architecture; ``None`` for the number of its run or data
                set, or the 1,000 of a published supernet.
            detail: Whether to list the cost of each part of the network too.
            picture: Path of the picture of the network; ``None`` for no picture.
            json: Whether to print one JSON object with numbers that are not rounded.
        """
        self._experiment = experiment
        self._keys = ModelKeys(run=run, arch=arch, model=model, r=r)
        self._resolution = r
        self._classes = classes
        self._detail = detail
        self._picture = None if picture is None else expanded(picture, "picture")
        self._json = json

    def check(self) -> None:
        """Find the model and compute its costs.

        Raises:
            UserError: If the model is not found, a setting does not fit it, or ``picture`` has an unknown format.
        """
        if self._picture is not None and self._picture.suffix[1:].lower() not in FORMATS:
            raise UserError(f"picture={self._picture} must end in .{', .'.join(FORMATS)}")
        self._profiled(self._subject())

    def run(self) -> str:
        """Return the costs as text or as JSON, and draw the picture."""
        subject = self._subject()
        found = self._profiled(subject)
        if isinstance(found, CascadeOf):
            return _cascade_json(found) if self._json else _cascade_text(found)
        if self._picture is not None:
            architecture_figure(
                self._picture,
                title=f"{found.name}: {found.macs / MILLION:.4g} M FLOPs, {found.params / MILLION:.3g} M parameters",
                resolution=found.resolution,
                layers=layers_of(found.network, found.resolution),
            )
        if self._json:
            return _as_json(found, self._detail)
        opened = [] if self._picture is None else ["Open:", f"  {self._picture}"]
        return "\n".join([_as_text(found, self._detail), *opened])

    @property
    def _given(self) -> Given:
        return given_by(self._experiment)

    def _subject(self) -> Subject:
        return find_subject(self._keys, self._given)

    def _profiled(self, subject: Subject) -> _Profile | CascadeOf:
        if isinstance(subject, CascadeOf):
            if self._picture is not None:
                raise UserError(f"picture=... is for single networks; {subject.name} is a cascade")
            return subject
        if isinstance(subject, Subnet):
            return self._of_subnet(subject)
        config = subject.described.get("net_config", {})
        if kind_of(config) in NAMES and self._given.names("supernet"):
            return self._of_subnet(self._mapped(subject))
        return self._of_network(subject)

    def _of_network(self, model: Model) -> _Profile:
        """Return the costs of a network that has its own description instead of a genome."""
        if self._classes is not None:
            raise UserError(f"classes=... is for architectures of a supernet; {model.name} has its own classifier")
        for name in self._costs():
            if name not in _EXACT:
                raise UserError(f"sec_obj={name} is known of the blocks of supernets: add supernet=NAME")
        assert model.network is not None
        side = self._resolution or int(model.described["resolution"])
        check_runs(model.network, side, Path(model.name))
        shapes = deepcopy(model.network).to("meta").eval()
        costs = counted(shapes, side)
        kind = kind_of(model.described["net_config"]) if "net_config" in model.described else type(shapes).__name__
        title = f"{model.name}: {kind}, input {side} x {side}, {model.described['n_classes']:,} classes"
        exact = (round(costs["flops"] * MILLION), round(costs["params"] * MILLION))
        found = _Profile(title, model.name, *exact, side, model.network)
        params: dict[str, float] = {}
        for name, parameter in shapes.named_parameters():
            params[part_of(name)] = params.get(part_of(name), 0) + parameter.numel()
        found.detail = {"macs": {layer.name: layer.macs for layer in layers_of(shapes, side)}, "params": params}
        return found

    def _of_subnet(self, subject: Subnet) -> _Profile:
        """Return the costs of a subnet, at any resolution that the network accepts."""
        if is_cascade(subject.architecture):
            raise UserError(
                f"{_source(subject)} is a cascade: name one of its networks; of one over several supernets it is what "
                f"stands under the supernet's name, without position and threshold"
            )
        self._experiment.refuse_joint()
        side = self._side(subject)
        supernet, n_classes, label = self._supernet(subject, side)
        genome = encoded(supernet.space, {**subject.architecture, "r": side}, subject.file)
        network, tables = supernet.extract(supernet.space.decode(genome)), supernet.costs()
        check_runs(network, side, subject.file or Path(subject.name))
        exact = {name: int(table(genome[None])[0]) for name, table in tables.items()}
        found = _Profile(
            title=f"{subject.name}: an architecture of {label}, input {side} x {side}, {n_classes:,} classes",
            name=subject.name,
            macs=exact["macs"],
            params=exact["params"],
            resolution=side,
            network=network,
            architecture=dict(supernet.space.decode(genome).config),
        )
        found.detail = {
            name: {part: int(value[0]) for part, value in table.parts(genome[None]).items() if value[0]}
            for name, table in tables.items()
        }
        experiment = self._experiment.changed(
            space=supernet.space, tables=tables, supernet=supernet, device="cpu", n_classes=n_classes
        )
        for node in self._costs().values():
            cost: Cost = experiment.part("sec_obj", node)
            if cost.measure.name not in _EXACT:
                found.others[cost.measure.name] = (float(cost(genome[None])[0]), cost.measure.unit)
            if isinstance(cost, LatencyTable):
                found.detail[f"{cost.measure.name}_{cost.measure.unit}"] = cost.shares(genome)
        return found

    def _costs(self) -> dict[str, Any]:
        """Return the settings of the objectives that follow from the genome alone, by name."""
        nodes = self._experiment.resolved["sec_obj"]
        return {name: node for name, node in nodes.items() if issubclass(self._experiment.kind("sec_obj", node), Cost)}

    def _side(self, subject: Subnet) -> int:
        side = self._resolution or subject.architecture.get("r")
        if side is None:
            raise UserError(f"{_source(subject)} does not say the resolution: add r=224, or what it is")
        if not isinstance(side, int) or isinstance(side, bool) or side < 1:
            raise UserError(f"{_source(subject)}: r is {side!r}; it must be a whole number of pixels")
        return side

    def _supernet(self, subject: Subnet, side: int) -> tuple[Supernet, int, str]:
        """Return the supernet with random weights for images of one size, its number of classes, and its name."""
        given, choice = self._given, self._experiment.choices["supernet"]
        n_classes = self._classes or subject.n_classes
        if subject.supernet is not None:
            node = dict(subject.supernet)
            if "resolutions" in node:
                node["resolutions"] = [side]
            stored = Given(settings={"supernet": node}, device="cpu", cache=given.cache, allowed=given.allowed)
            if n_classes is None:
                raise UserError(f"how many classes {_source(subject)} tells apart is unknown: add classes=10")
            label = f"its supernet ({str(node.get('_target_')).rpartition('.')[2]})"
            return stored.supernet(n_classes, RANDOM), n_classes, label
        if not given.names("supernet"):
            raise UserError("which supernet the architecture is of is unknown: add supernet=NAME")
        if n_classes is None and given.dataset is not None:
            n_classes = given.dataset.n_classes
        if n_classes is None and not {"checkpoint", "members"} & self._experiment.resolved["supernet"].keys():
            raise UserError("how many classes the network tells apart is unknown: add classes=10 or dataset=NAME")
        supernet, n_classes = self._experiment.random_supernet(n_classes, side)
        return supernet, n_classes, f"supernet={choice}"

    def _mapped(self, model: Model) -> Subnet:
        """Return the architecture of the command line's supernet that a ``net.config`` describes.

        Raises:
            UserError: If it is not an architecture of the supernet.
        """
        config, file = model.described["net_config"], Path(model.described["source"].get("net_config") or model.name)
        side, n_classes = self._resolution or int(model.described["resolution"]), int(model.described["n_classes"])
        choice = self._experiment.choices["supernet"]
        supernet, _ = self._experiment.random_supernet(n_classes, side)
        wanted, found = outputs(config), list[int]()
        for meant in architectures(config, getattr(supernet.space, "widths", (1.0,)), file):
            try:
                genome: Genomes = supernet.space.encode(meant | {"r": side})
            except UserError as error:
                raise UserError(f"'{file}' is no network of supernet={choice}: {error}") from error
            layers = layers_of(supernet.extract(supernet.space.decode(genome)), side)
            found = [layer.outputs for layer in layers if layer.name.startswith("blocks.")]
            if found == wanted:
                return Subnet(model.name, meant | {"r": side}, file, n_classes=n_classes)
        raise UserError(
            f"'{file}' is no network of supernet={choice}, or of another width: its blocks have "
            f"{', '.join(map(str, wanted))} channels and the supernet's {', '.join(map(str, found))}"
        )


def _source(subject: Subnet) -> str:
    return f"'{subject.file}'" if subject.file is not None else "the architecture"


def _as_json(found: _Profile, detail: bool) -> str:
    profile: dict[str, Any] = {"name": found.name, "macs": found.macs, "params": found.params}
    profile |= {f"{name}_{unit}": value for name, (value, unit) in found.others.items()}
    profile["resolution"] = found.resolution
    if found.architecture is not None:
        profile["arch"] = found.architecture
    if detail:
        profile["detail"] = found.detail
    return json_format.dumps(profile)


def _as_text(found: _Profile, detail: bool) -> str:
    rows = [("FLOPs", found.macs / MILLION, "M"), ("parameters", found.params / MILLION, "M")]
    rows += [(name, value, unit) for name, (value, unit) in found.others.items()]
    width = max(len(name) for name, *_ in rows)
    lines = [found.title, *(f"  {name.ljust(width)}  {value:.4g} {unit}" for name, value, unit in rows)]
    if found.architecture is not None:
        lines.append(f"  architecture: {json_format.dumps(found.architecture)}")
    return "\n".join([*lines, *(_shares(found.detail) if detail else ())])


def _shares(detail: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    """Return a table with one row per part and one column per cost."""
    parts = dict.fromkeys(part for shares in detail.values() for part in shares)
    titles = [_TITLES.get(name, name.replace("_ms", " (ms)")) for name in detail]
    cells = [["part", *titles]]
    for part in parts:
        scaled = [(shares.get(part), MILLION if name in _TITLES else 1) for name, shares in detail.items()]
        cells.append([part, *("" if value is None else f"{value / unit:.4g}" for value, unit in scaled)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]


def _cascade_json(found: CascadeOf) -> str:
    return json_format.dumps(
        {"name": found.name, "costs": dict(found.costs), "networks": found.networks, "flops": found.network_flops}
    )


def _cascade_text(found: CascadeOf) -> str:
    lines = [f"{found.name}: a cascade of {len(found.networks)} networks; FLOPs are the average of the images"]
    titles = {"flops": ("FLOPs", " M"), "params": ("parameters", " M")}
    for name, value in found.costs.items():
        title, unit = titles.get(name, (name, ""))
        lines.append(f"  {title} {value:.4g}{unit}")
    for place, name in enumerate(found.networks):
        flops = f", {found.network_flops[place]:.4g} M FLOPs" if found.network_flops else ""
        lines.append(f"  network {place + 1}: {name}{flops}")
    return "\n".join(lines)
