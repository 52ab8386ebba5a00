"""The files of NAS-Bench-201 and NATS-Bench: pickles, of which only plain values are ever built."""

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
"""Of one cell: what training for ``"12"`` and for ``"200"`` epochs gave."""

_HYPERPARAMETERS = {"less": "12", "full": "200"}
"""NAS-Bench-201's names for the numbers of epochs by which NATS-Bench calls them."""

_LEGACY_PICKLES = 3
"""Magic number, version and platform, which come before the content where torch writes no zip file."""


class _Type:
    """A number's type, as NumPy pickles it."""

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
"""Everything that a file may name; nothing here does more than hold a value."""


class _PlainValues(pickle.Unpickler):
    """Builds numbers, texts and containers, and refuses all else: a pickle may name any function to be called."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _BUILT[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which could run code") from None


def read_cells(path: Path) -> Iterator[tuple[str, Results]]:
    """Yield each cell that a file or folder holds, as the benchmark writes it, with its results.

    Args:
        path: ``NAS-Bench-201-v1_1-096897.pth``, ``NATS-tss-v1_0-3ffb9.pickle.pbz2``, or the folder
            ``NATS-tss-v1_0-3ffb9-simple``.

    Raises:
        UserError: If it is damaged, or holds anything but plain values; nothing in it is ever run.
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
    """Return the content of one file, plain values only; see :func:`read_cells`."""
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
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise UserError(f"space.path={path} cannot be read as tables of NAS-Bench-201: {error}") from error


def _part(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, Mapping) or key not in content:
        raise UserError(f"space.path={path} holds no tables of NAS-Bench-201: '{key}' is missing")
    return content[key]
