"""Archive of a run as arrays, which are read and checked many times faster than single entries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json

from nas.errors import ArchiveError
from nas.pareto import non_dominated
from nas.run.archive import VERSION, commit_checksum
from nas.types import Floats, Genomes, Measure

Integers = npt.NDArray[np.int64]

BLOCK = 4 << 20
"""Bytes that are parsed at once; the longest line must fit."""

_COLUMNS = pa.schema(
    [
        ("step", pa.int64()),
        ("index", pa.int64()),
        ("genome", pa.list_(pa.int64())),
        ("objectives", pa.list_(pa.float64())),
        ("predicted", pa.float64()),
        ("weights", pa.string()),
    ]
)


@dataclass(frozen=True)
class Record:
    """Evaluations of a run in the order of steps; of several attempts the last one.

    Attributes:
        measures: Names and units of the m objectives.
        genes: Names of the d genes.
        step, index: Step and place in its batch of each evaluation, shape (n,).
        genomes: Shape (n, d).
        objectives: Shape (n, m), minimized; not-a-number where the evaluation failed.
        predicted: Predictions of the first objective, shape (n,); NaN without a prediction.
        weights: Place in ``digests`` of the weights that each was made with, shape (n,); -1 for none.
        digests: Digests of weights.
        architecture: Places of equal genomes are equal, shape (n,).
        described: Architecture and metrics of what is on the front, by place.
    """

    measures: tuple[Measure, ...]
    genes: tuple[str, ...]
    step: Integers
    index: Integers
    genomes: Genomes
    objectives: Floats
    predicted: Floats
    weights: Integers
    digests: tuple[str, ...]
    architecture: Integers
    described: Mapping[int, Mapping[str, Any]]

    @cached_property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Whether each evaluation succeeded, shape (n,)."""
        return np.asarray(~np.isnan(self.objectives).any(axis=1))

    @cached_property
    def fresh(self) -> npt.NDArray[np.bool_]:
        """Whether no earlier step evaluated the architecture, shape (n,)."""
        first = np.full(len(self.architecture), np.iinfo(np.int64).max)
        np.minimum.at(first, self.architecture, self.step)
        return np.asarray(self.step == first[self.architecture])

    def front(self, n: int | None = None) -> Integers:
        """Return the indices of the non-dominated architectures among the first ``n`` evaluations, ascending.

        If an architecture was evaluated several times, the newest evaluation counts.
        """
        n = len(self.step) if n is None else n
        newest = np.full(len(self.step), -1)
        newest[self.architecture[:n]] = np.arange(n)
        places = np.sort(newest[newest >= 0])
        places = places[self.ok[places]]
        return np.asarray(places[non_dominated(self.objectives[places])])


def read_record(path: Path) -> Record:
    """Read an archive up to its last complete step.

    Raises:
        ArchiveError: If the file is damaged, or of another version.
    """
    data = path.read_bytes()
    end = data.find(b"\n") + 1
    header = _header(path, data[:end])
    body, lines = _checked(path, data, end)
    try:
        table = _parsed(body)
        record = _record(header, table)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ArchiveError(f"{path}: an entry is damaged ({str(error).splitlines()[0]})") from error
    rows = _order(table)
    described = {int(place): json.loads(lines[rows[place]]) for place in record.front()}
    return replace(record, described={place: _described(entry) for place, entry in described.items()})


def _header(path: Path, line: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(line)
        if header["format"] != "nas-archive" or header["version"] != VERSION:
            raise ArchiveError(f"{path} is of another version: {header['version']}, this program reads {VERSION}")
        header["objectives"] = tuple(Measure(str(name), str(unit)) for name, unit in header["objectives"])
        header["genes"] = tuple(map(str, header["genes"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ArchiveError(f"{path}: line 1 is damaged") from error
    return header


def _checked(path: Path, data: bytes, start: int) -> tuple[bytes, list[bytes]]:
    """Return the entries of complete steps as one text and as lines, after checking each step's checksum."""
    digest, parts, position = sha256(data[:start]), list[bytes](), start
    while (commit := data.find(b'\n{"commit":', position - 1) + 1) > 0 and (end := data.find(b"\n", commit)) > 0:
        digest.update(data[position:commit])
        try:
            record = json.loads(data[commit:end])
            good = record["sha256"] == commit_checksum(digest, record["commit"])
        except (ValueError, TypeError, KeyError) as error:
            raise ArchiveError(f"{path}: byte {commit} is damaged") from error
        if not good:
            raise ArchiveError(f"{path}: the lines up to byte {end} do not match their checksum")
        digest.update(data[commit : end + 1])
        parts.append(data[position:commit])
        position = end + 1
    _check_rest(path, data[position:])
    body = b"".join(parts)
    return body, body.splitlines()


def _check_rest(path: Path, rest: bytes) -> None:
    """Raise ArchiveError if the lines after the last commit are not entries; the last line may be cut off."""
    for line in rest.splitlines(keepends=True):
        try:
            if line.endswith(b"\n") and "genome" not in json.loads(line):
                raise ValueError
        except (ValueError, TypeError) as error:
            raise ArchiveError(f"{path}: a line behind the last complete step is damaged") from error


def _parsed(body: bytes) -> pa.Table:
    if not body:
        return _COLUMNS.empty_table()
    return pyarrow.json.read_json(
        pa.BufferReader(body),
        read_options=pyarrow.json.ReadOptions(block_size=BLOCK),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_COLUMNS, unexpected_field_behavior="ignore"),
    ).combine_chunks()


def _order(table: pa.Table) -> Integers:
    """Return the rows in the order of steps; of several attempts at one evaluation the last one."""
    step, index = (np.asarray(table[name].to_numpy(), dtype=np.int64) for name in ("step", "index"))
    if len(step) == 0:
        return step
    key = step * (index.max() + 1) + index
    _, last = np.unique(key[::-1], return_index=True)
    rows = np.sort(len(key) - 1 - last)
    return np.asarray(rows[np.argsort(step[rows], kind="stable")])


def _record(header: Mapping[str, Any], table: pa.Table) -> Record:
    rows, n, d, m = _order(table), len(table), len(header["genes"]), len(header["objectives"])
    found = table["objectives"].combine_chunks()
    objectives = np.full((n, m), np.nan)
    objectives[found.is_valid().to_numpy(zero_copy_only=False)] = found.flatten().to_numpy().reshape(-1, m)
    genomes = table["genome"].combine_chunks().flatten().to_numpy().reshape(n, d)[rows]
    encoded = table["weights"].combine_chunks().dictionary_encode()
    _, architecture = np.unique(_keys(genomes), return_inverse=True)
    return Record(
        measures=header["objectives"],
        genes=header["genes"],
        step=table["step"].to_numpy()[rows],
        index=table["index"].to_numpy()[rows],
        genomes=genomes,
        objectives=objectives[rows],
        predicted=table["predicted"].to_numpy()[rows].astype(np.float64),
        weights=encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)[rows],
        digests=tuple(encoded.dictionary.to_pylist()),
        architecture=architecture.astype(np.int64),
        described={},
    )


def _keys(genomes: Genomes) -> npt.NDArray[Any]:
    """Return one key for each genome, equal for equal genomes, (n, d) -> (n,)."""
    small = np.ascontiguousarray(genomes, dtype=np.min_scalar_type(int(genomes.max(initial=0))))
    return small.view(np.dtype((np.void, max(small.shape[1] * small.itemsize, 1)))).reshape(-1)


def _described(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"config": entry["config"], "metrics": entry["metrics"]}
