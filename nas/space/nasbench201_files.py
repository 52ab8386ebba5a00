"""Reading of the files of NAS-Bench-201 and NATS-Bench: pickles, from which only plain values are built."""

import bz2
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from nas.errors import UserError

COMPRESSED = ".pbz2"
Results = Mapping[str, Mapping[str, Any]]
"""Results of one cell after training for ``"12"`` and ``"200"`` epochs."""

_HYPERPARAMETERS = {"less": "12", "full": "200"}
"""Numbers of epochs, as named in NATS-Bench, by NAS-Bench-201's names."""

_LEGACY_PICKLES = 3
"""Number of pickles before the content in torch's legacy format: magic number, version and platform."""


class _Type:
    """Stand-in for NumPy's dtype in pickles; it accepts types of numbers only."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[fiu][1248]|b1", code):
            raise pickle.UnpicklingError(f"it holds values of NumPy's type {code!r}")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.code = ("" if state[1] == "|" else str(state[1])) + self.code


def _number(kind: _Type, data: bytes) -> float:
    return float(np.frombuffer(data, dtype=np.dtype(kind.code))[0])


def _bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_BUILT: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
    ("_codecs", "encode"): _bytes,
}
"""Functions and classes that a file may name; all of them only hold values."""


class _PlainValues(pickle.Unpickler):
    """Unpickler that builds only numbers, texts and containers, because a pickle may name any function to call."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _BUILT[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which could run code") from None


def read_cells(path: Path) -> Iterator[tuple[str, Results]]:
    """Yield each cell of a file or folder, in the benchmark's notation, with its results.

    Args:
        path: Path of the file ``NAS-Bench-201-v1_1-096897.pth`` or ``NATS-tss-v1_0-3ffb9.pickle.pbz2``, or of the
            folder ``NATS-tss-v1_0-3ffb9-simple``.

    Raises:
        UserError: If the file is damaged or holds anything but plain values; code in it is never run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "cells.pickle.pbz2"
        ...     content = pickle.dumps({"meta_archs": ["a cell"], "arch2infos": {0: {"full": {}}}})
        ...     size = path.write_bytes(bz2.compress(content))
        ...     list(read_cells(path))
        [('a cell', {'200': {}})]
    """
    if path.is_dir():
        meta = load(path / f"meta.pickle{COMPRESSED}")
        for index, cell in enumerate(_part(meta, "meta_archs", path)):
            place = path / f"{index:06d}.pickle{COMPRESSED}"
            if place.exists():
                yield cell, load(place)
        return
    content = load(path)
    cells, results = _part(content, "meta_archs", path), _part(content, "arch2infos", path)
    for index, found in results.items():
        yield cells[index], {_HYPERPARAMETERS.get(key, key): value for key, value in found.items()}


def load(path: Path) -> Any:
    """Return the content of one file, which may hold only plain values; see :func:`read_cells`."""
    try:
        if path.suffix == COMPRESSED:
            with bz2.open(path) as file:
                return _PlainValues(cast(IO[bytes], file)).load()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(name) as file:
                    return _PlainValues(file).load()
        with path.open("rb") as file:
            for _ in range(_LEGACY_PICKLES):
                _PlainValues(file).load()
            return _PlainValues(file).load()
    except FileNotFoundError as error:
        raise UserError(f"space.path={path} does not exist") from error
    except Exception as error:  # the type of the exception depends on the place of the damage
        raise UserError(f"space.path={path} cannot be read as tables of NAS-Bench-201: {error}") from error


def _part(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, Mapping) or key not in content:
        raise UserError(f"space.path={path} holds no tables of NAS-Bench-201: '{key}' is missing")
    return content[key]
