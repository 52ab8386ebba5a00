"""Folders with outputs of models, in this project's layout and in that of ENCAS's tool, and the arrays in them."""

import csv
import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.pool.base import SPLITS, Split


@dataclass(frozen=True)
class ArrayFile:
    """File with one array; arrays of Python objects, which could run code when loaded, are refused.

    Attributes:
        path: Path of the file.
        member: Name of the array in an ``.npz`` file; ``None`` for other files.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from nas.pool.output_folder import ArrayFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "net.npz"), validation=np.zeros((4, 10)))
        ...     ArrayFile(Path(folder, "net.npz"), "validation").shape()
        (4, 10)
    """

    path: Path
    member: str | None = None

    @property
    def exists(self) -> bool:
        """Whether the file exists and contains the array."""
        if self.member is None:
            return self.path.is_file()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return f"{self.member}.npy" in archive.namelist()
        except FileNotFoundError:
            return False
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"'{self.path}' cannot be read ({error})") from error

    def shape(self) -> tuple[int, ...]:
        """Return the array's shape without reading the array.

        Raises:
            UserError: If the file cannot be read.
        """
        with self._readable() as file:
            version = np.lib.format.read_magic(file)
            readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in readers:
                raise ValueError(f"version {version} of the format")
            shape: tuple[int, ...] = readers[version](file)[0]
            return shape

    def read(self) -> npt.NDArray[Any]:
        """Return the array.

        Raises:
            UserError: If the file cannot be read.
        """
        with self._readable() as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # reading to the end also verifies the checksum of compressed files
                raise ValueError("there is more in it than an array")
            return array

    @contextmanager
    def _readable(self) -> Iterator[IO[bytes]]:
        try:
            with self._open() as file:
                yield file
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            place = f"{self.path}" + ("" if self.member is None else f", array {self.member}")
            raise UserError(f"'{place}' cannot be read ({error})") from error

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.member}.npy") as file:
                yield file
        elif self.path.suffix == ".gz":
            with gzip.open(self.path) as zipped:
                yield zipped  # type: ignore[misc]
        else:
            with self.path.open("rb") as file:
                yield file


TABLES = ("models.json", "models.csv")
ORIGINAL: Mapping[Split, str] = {"validation": "val", "test": "test"}


@dataclass(frozen=True)
class ModelFiles:
    """Files with the arrays of one model.

    Attributes:
        name: Name of the model, unique in its folder.
        costs: Costs per image, by name.
        architecture: Description of the model, plain values.
        outputs: Files with outputs by split, arrays of shape (n, c).
        gaps: Files with confidence gaps by split, arrays of shape (n,); empty if there are none.
        labels: Files with the model's own labels by split, arrays of shape (n,); empty if there are none.
    """

    name: str
    costs: Mapping[str, float]
    architecture: Mapping[str, Any]
    outputs: Mapping[Split, ArrayFile]
    gaps: Mapping[Split, ArrayFile] = field(default_factory=dict)
    labels: Mapping[Split, ArrayFile] = field(default_factory=dict)


def models_in(folder: Path, suffix: str) -> list[ModelFiles]:
    r"""Return the models of a folder.

    This project's layout: ``models.json``, a list of objects, or ``models.csv``, with ``name``, ``flops`` (millions of
    multiply-adds) and any other costs. For each name there is ``<name>.npz`` with the arrays ``validation`` and
    ``test``, shape (n, c). The arrays ``validation_gaps``, ``validation_labels``, ``test_gaps`` and ``test_labels`` are
    optional. Instead of ``<name>.npz`` there may be one file per array, such as ``<name>.validation.npy``.

    Layout of ENCAS's tool: ``output_distrs_val<suffix>/<j>.npy.gz`` with ``info.json``,
    ``logit_gaps_val<suffix>/<j>.npy.gz``, and the same with ``test``.

    Args:
        folder: Folder of one group of models.
        suffix: Suffix of folder names in the layout of ENCAS's tool.

    Raises:
        UserError: If the folder has neither layout or is damaged.

    Example:
        >>> import tempfile
        >>> from nas.pool.output_folder import models_in
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "small.npz"), validation=np.array([[0.9, 0.1]]))
        ...     _ = Path(folder, "models.csv").write_text("name,flops\nsmall,5")
        ...     [(model.name, model.costs) for model in models_in(Path(folder), suffix="")]
        [('small', {'flops': 5.0})]
    """
    if (folder / f"output_distrs_val{suffix}").is_dir():
        return _original(folder, suffix)
    for name in TABLES:
        if (folder / name).is_file():
            return [_ours(folder, row, folder / name) for row in _rows(folder / name)]
    raise UserError(
        f"pool.folders: '{folder}' holds neither {' nor '.join(TABLES)} nor output_distrs_val{suffix}, "
        "which would say what its models are"
    )


def _rows(table: Path) -> Sequence[Mapping[str, Any]]:
    """Return the rows of ``models.json`` or ``models.csv``; there must be at least one."""
    try:
        text = table.read_text()
        rows = json.loads(text) if table.suffix == ".json" else list(csv.DictReader(text.splitlines()))
    except (OSError, ValueError) as error:
        raise UserError(f"'{table}' cannot be read ({error})") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"'{table}' must list at least one model")
    return rows


def _ours(folder: Path, row: Mapping[str, Any], table: Path) -> ModelFiles:
    name = str(row.get("name", ""))
    if not name or Path(name).name != name or name in {".", ".."}:
        raise UserError(f"'{table}': '{name}' is no name of a model: give one without /")
    costs = {key: _cost(value, f"'{table}': {key} of {name}") for key, value in row.items() if key != "name"}

    def found(ending: str) -> dict[Split, ArrayFile]:
        files = {split: _array(folder, name, f"{split}{ending}") for split in SPLITS}
        return {split: file for split, file in files.items() if file is not None}

    outputs = found("")
    if "validation" not in outputs:
        raise UserError(f"'{folder}' lacks the outputs of {name}: {name}.npz with an array 'validation'")
    if "flops" not in costs:
        raise UserError(f"'{table}': flops of {name} are missing, millions of multiply-adds")
    return ModelFiles(name, costs, {"name": name}, outputs, found("_gaps"), found("_labels"))


def _array(folder: Path, name: str, array: str) -> ArrayFile | None:
    for file in (ArrayFile(folder / f"{name}.{array}.npy"), ArrayFile(folder / f"{name}.npz", array)):
        if file.exists:
            return file
    return None


def _original(folder: Path, suffix: str) -> list[ModelFiles]:
    """Return the models of a folder in the layout of ENCAS's tool, with the costs in ``info.json``."""
    path = folder / f"output_distrs_val{suffix}" / "info.json"
    try:
        info = json.loads(path.read_text())
        costs = list(info["flops"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{path}' cannot be read, or lacks flops ({error})") from error
    names = info.get("net_names") or [f"net_{j}" for j in range(len(costs))]
    configs = info.get("cfgs") or [{"name": name} for name in names]
    if not costs or not len(costs) == len(names) == len(configs):
        raise UserError(f"'{path}' lists {len(costs)} costs and {len(names)} models")

    def found(kind: str, j: int) -> dict[Split, ArrayFile]:
        files = {
            split: ArrayFile(folder / f"{kind}_{word}{suffix}" / f"{j}.npy.gz") for split, word in ORIGINAL.items()
        }
        return {split: file for split, file in files.items() if file.exists}

    models = []
    for j, (name, cost, config) in enumerate(zip(names, costs, configs, strict=True)):
        architecture = config if isinstance(config, dict) else {"config": config}
        outputs = found("output_distrs", j)
        if "validation" not in outputs:
            raise UserError(f"'{path.parent}' lacks the outputs of {name}: {j}.npy.gz")
        flops = _cost(cost, f"'{path}': flops of {name}")
        models.append(ModelFiles(str(name), {"flops": flops}, architecture, outputs, found("logit_gaps", j)))
    return models


def _cost(value: object, what: str) -> float:
    try:
        cost = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} are '{value}'; give a number") from error
    if not 0 <= cost < float("inf"):
        raise UserError(f"{what} are {cost}; give a number of 0 or more")
    return cost
