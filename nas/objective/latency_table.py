"""Latency that is read off a table: published ones, and those that ``task=latency_table`` measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import yaml

from nas.errors import UserError
from nas.files import expanded
from nas.objective.base import Cost
from nas.objective.latency_file import FORMAT, table_of
from nas.objective.latency_published import is_i7, is_note10, published_table
from nas.space.base import SearchSpace
from nas.space.table import CostTable
from nas.types import Floats, Genomes, Measure

_SETTING = "sec_obj.latency_table.path"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both are safe; the one written in C is ten times faster


@final
class LatencyTable(Cost):
    """Milliseconds of a forward pass, summed over a network's blocks by one gather for a whole population.

    Published tables are of one image: NSGANetV2's of an i7-8700K for the widths 1.0 and 1.2 of OFA's MobileNetV3, and
    OFA's of a Note 10, one file a resolution, for the width 1.2. They time a classifier of 1000 classes; with
    others, all latencies are off by the same constant. Our own tables, see :mod:`nas.objective.latency_file`, are for
    any supernet and for the batch size that they were measured with.
    """

    measure = Measure("latency_table", "ms")

    def __init__(
        self,
        *,
        path: Path,
        space: SearchSpace,
        tables: Mapping[str, CostTable],
        n_classes: int,
    ) -> None:
        """Read a table.

        Args:
            path: File of a latency table, or folder of OFA's files, one a resolution.
            space: The architectures.
            tables: Exact costs of the supernet, see :meth:`nas.supernet.base.Supernet.costs`.
            n_classes: Outputs of the supernet's classifier.

        Raises:
            UserError: If there is no such table, or it does not fit the supernet and its choices.
        """
        if "macs" not in tables:
            raise UserError("sec_obj=latency_table knows single networks, not cascades: choose sec_obj=[flops]")
        path = expanded(path, "sec_obj.latency_table.path")
        files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
        if not files:
            what = "is a folder without .yaml files" if path.is_dir() else "does not exist"
            raise UserError(f"{_SETTING}={path} {what}; give a file, or the folder of OFA's files")
        contents = {str(file): _read(file) for file in files}
        if path.is_dir():
            contents = {name: content for name, content in contents.items() if is_note10(content)}
        if len(contents) == 1 and next(iter(contents.values())).get("format") == FORMAT:
            self._table = table_of(next(iter(contents.values())), path, space, tables["macs"], n_classes)
        elif contents and all(is_note10(content) or is_i7(content) for content in contents.values()):
            self._table = published_table(contents, path, space, tables["macs"])
        else:
            raise UserError(
                f"{_SETTING}={path} holds no latency table: neither one of task=latency_table, nor NSGANetV2's "
                "i7-8700K_lut.yaml, nor OFA's files"
            )

    def limits(self) -> tuple[float, float]:
        """Return the least and the largest latency in milliseconds."""
        return self._table.extremes()

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the latency of each genome in milliseconds, (n, d) -> (n,)."""
        milliseconds: Floats = self._table(genomes).astype(float)
        return milliseconds

    def shares(self, genome: Genomes) -> dict[str, float]:
        """Return, by name, the milliseconds of the blocks of one genome, (d,), that are there."""
        parts = self._table.parts(genome[None])
        return {name: float(value[0]) for name, value in parts.items() if value[0]}


def _read(path: Path) -> Mapping[str, Any]:
    """Return the mapping that a YAML or JSON file holds."""
    try:
        text = path.read_text()
        content = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{_SETTING}: {path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError(f"{_SETTING}: {path} holds no latency table")
    return content
