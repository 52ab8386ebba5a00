"""``task=profile``: what one architecture costs, without its weights and without data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.errors import UserError
from nas.files import expanded
from nas.objective.base import Cost
from nas.objective.latency_table import LatencyTable
from nas.parts import build
from nas.report.architecture import FORMATS, architecture_figure, layers_of
from nas.space.net_config import architectures, is_net_config, outputs
from nas.supernet.base import Supernet
from nas.task.base import Setup, Task
from nas.task.random_supernet import random_supernet
from nas.types import Genomes, PositiveInt

_EXACT = ("flops", "params")
"""Costs that are printed in any case, as integers."""


@final
class ProfileTask(Task):
    """Prints one JSON object: ``macs``, ``params`` and the architecture."""

    def __init__(
        self,
        *,
        setup: Setup,
        arch: str | dict[str, Any],
        r: PositiveInt | None,
        classes: PositiveInt | None,
        detail: bool,
        picture: Path | None,
    ) -> None:
        """Take what to profile.

        Args:
            setup: what the command line says; only ``supernet``, ``sec_obj`` and ``dataset`` count, the latter for its
                number of classes.
            arch: an architecture as the original tools write it: JSON, or a file that holds it (``.subnet``,
                ``net.config``).
            r: side of the square input, pixels; ``None`` for the one that ``arch`` says.
            classes: outputs of the classifier; ``None`` for the 1,000 of a published supernet, or the data set's
                for one that is trained from scratch.
            detail: whether each part's share is listed too.
            picture: where to draw the architecture; ``None`` for nowhere.
        """
        self._setup = setup
        self._arch = arch
        self._resolution = r
        self._classes = classes
        self._detail = detail
        self._picture = None if picture is None else expanded(picture, "picture")

    def check(self) -> None:
        """Read the architecture and look it up."""
        if self._picture is not None and self._picture.suffix[1:].lower() not in FORMATS:
            raise UserError(f"picture={self._picture} must end in .{', .'.join(FORMATS)}")
        supernet, n_classes = random_supernet(self._setup, self._classes)
        self._genome(supernet)
        self._costs(supernet, n_classes)

    def run(self) -> str:
        """Return the JSON object as one line."""
        supernet, n_classes = random_supernet(self._setup, self._classes)
        genome = self._genome(supernet)
        tables = supernet.costs()
        profile: dict[str, Any] = {name: int(table(genome[None])[0]) for name, table in tables.items()}
        costs = [cost for cost in self._costs(supernet, n_classes) if cost.measure.name not in _EXACT]
        for cost in costs:
            profile[f"{cost.measure.name}_{cost.measure.unit}"] = float(cost(genome[None])[0])
        architecture = supernet.space.decode(genome)
        profile["arch"] = dict(architecture.config)
        if self._detail:
            profile["detail"] = {
                name: {part: int(value[0]) for part, value in table.parts(genome[None]).items() if value[0]}
                for name, table in tables.items()
            }
            profile["detail"] |= {
                f"{cost.measure.name}_{cost.measure.unit}": cost.shares(genome)
                for cost in costs
                if isinstance(cost, LatencyTable)
            }
        if self._picture is not None:
            resolution = architecture.config["r"]
            million = 1e6
            architecture_figure(
                self._picture,
                title=f"{self._setup.choices['supernet']}: {profile['macs'] / million:.4g} M multiply-adds, "
                f"{profile['params'] / million:.3g} M parameters",
                resolution=resolution,
                layers=layers_of(supernet.extract(architecture), resolution),
            )
        return json.dumps(profile)

    def _costs(self, supernet: Supernet, n_classes: int) -> list[Cost]:
        offers = {"space": supernet.space, "tables": supernet.costs(), "supernet": supernet, "device": "cpu"}
        offers |= {"n_classes": n_classes}
        objectives = [build(part, offers) for part in self._setup.parts["sec_obj"].values()]
        return [objective for objective in objectives if isinstance(objective, Cost)]

    def _genome(self, supernet: Supernet) -> Genomes:
        config = dict(_read(self._arch))
        resolution = {} if self._resolution is None else {"r": self._resolution}
        if not is_net_config(config):
            return supernet.space.encode(config | resolution)
        wanted, found = outputs(config), list[int]()
        for meant in architectures(config, getattr(supernet.space, "widths", (1.0,))):
            given = meant | resolution
            if "r" not in given:
                raise UserError(f"{self._arch} does not say the resolution: add r=224, or what it is")
            genome = supernet.space.encode(given)
            layers = layers_of(supernet.extract(supernet.space.decode(genome)), given["r"])
            found = [layer.outputs for layer in layers if layer.name.startswith("blocks.")]
            if found == wanted:
                return genome
        raise UserError(
            f"{self._arch} is of another width than supernet={self._setup.choices['supernet']}: its blocks have "
            f"{', '.join(map(str, wanted))} channels and the supernet's {', '.join(map(str, found))}"
        )


def _read(arch: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(arch, Mapping):
        return arch
    path = None if arch.lstrip().startswith("{") else expanded(arch, "arch")
    if path is not None and not path.is_file():
        raise UserError(f"arch={arch} is neither JSON nor a file that exists")
    try:
        config = json.loads(arch if path is None else path.read_text())
    except ValueError as error:
        raise UserError(f"arch={arch} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"arch={arch} must be a JSON object such as {{'ks': [...], 'e': [...], 'd': [...], 'r': 224}}")
    return config
