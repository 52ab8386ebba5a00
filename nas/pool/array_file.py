"""Arrays in files that somebody else wrote: ``.npy``, ``.npy.gz``, or a member of an ``.npz``."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nas.errors import UserError


@dataclass(frozen=True)
class ArrayFile:
    """One array; objects in it, which could run code when they are read, are refused.

    Attributes:
        path: the file.
        member: name of the array in an ``.npz`` file, ``None`` for others.
    """

    path: Path
    member: str | None = None

    @property
    def exists(self) -> bool:
        """Whether the file, and the array in it, is there."""
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
        """Return the array's shape without reading it; UserError if it cannot be read."""
        with self._readable() as file:
            version = np.lib.format.read_magic(file)
            readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in readers:
                raise ValueError(f"version {version} of the format")
            shape: tuple[int, ...] = readers[version](file)[0]
            return shape

    def read(self) -> npt.NDArray[Any]:
        """Return the array; UserError if it cannot be read."""
        with self._readable() as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # compressed files compare their checksum at the end
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
