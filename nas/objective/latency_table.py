"""Objective: latency from a table, published or measured by ``task=latency_table``."""

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
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both are safe; the C version is ten times faster


@final
class LatencyTable(Cost):
    """Latency of a forward pass in milliseconds, summed over a network's blocks from a table.

    Published tables are for a batch of one image. NSGANetV2's table of an i7-8700K covers the widths 1.0 and 1.2 of
    OFA's MobileNetV3. OFA's tables of a Note 10 cover the width 1.2, with one file for each resolution. Both time a
    classifier of 1000 classes; for other numbers of classes, all latencies are off by the same constant. Tables of
    ``task=latency_table``, see :mod:`nas.objective.latency_file`, are for any supernet and for the batch size of their
    measurement.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nas.objective.latency_file import content
        >>> from nas.objective.latency_terms import terms_of
        >>> from nas.space.ofa import OfaSpace
        >>> from nas.space.table import AdditiveTable
        >>> space = OfaSpace(n_stages=1, depths=(1, 2), kernel_sizes=(3,), expand_ratios=(4,), resolutions=(24, 32),
        ...                  widths=(1.0,))
        >>> macs = AdditiveTable(6, [([0, 5], np.array([[10, 20], [30, 40]]))])  # by depth and resolution
        >>> about = {"supernet": "own", "n_classes": 10}
        >>> file = content(space, terms_of(space, macs), [np.array([[0.1, 0.2], [0.3, 0.4]])], about)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "table.json"
        ...     size = path.write_text(json.dumps(file))
        ...     latency = LatencyTable(path=path, space=space, tables={"macs": macs}, n_classes=10)
        >>> latency(space.largest[None])
        array([0.4])
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
            path: File of a latency table, or folder of OFA's files, one for each resolution.
            space: Search space of the supernet.
            tables: Cost tables of the supernet, see :meth:`nas.supernet.base.Supernet.costs`.
            n_classes: Number of outputs of the supernet's classifier.

        Raises:
            UserError: If the table does not exist or does not fit the supernet and its choices.
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
        """Return the smallest and largest latency in milliseconds."""
        return self._table.extremes()

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the latencies of genomes in milliseconds, (n, d) -> (n,)."""
        milliseconds: Floats = self._table(genomes).astype(float)
        return milliseconds

    def shares(self, genome: Genomes) -> dict[str, float]:
        """Return the milliseconds of the present blocks of one genome, (d,), by name."""
        parts = self._table.parts(genome[None])
        return {name: float(value[0]) for name, value in parts.items() if value[0]}


def _read(path: Path) -> Mapping[str, Any]:
    """Return the mapping in a YAML or JSON file."""
    try:
        text = path.read_text()
        content = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{_SETTING}: {path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError(f"{_SETTING}: {path} holds no latency table")
    return content
