import gzip
from pathlib import Path

import numpy as np
import pytest

from nas.errors import UserError
from nas.pool.output_folder import ArrayFile

VALUES = np.arange(6, dtype=np.float16).reshape(2, 3)


def written(folder: Path, kind: str) -> ArrayFile:
    path = folder / f"array.{kind}"
    if kind == "npz":
        np.savez_compressed(path, validation=VALUES, other=np.zeros(2))
        return ArrayFile(path, "validation")
    with gzip.open(path, "wb") if kind == "npy.gz" else path.open("wb") as file:
        np.save(file, VALUES)
    return ArrayFile(path)


@pytest.mark.parametrize("kind", ["npy", "npy.gz", "npz"])
def test_arrays_are_read(tmp_path, kind):
    file = written(tmp_path, kind)
    assert file.exists
    assert file.shape() == (2, 3)
    np.testing.assert_array_equal(file.read(), VALUES, strict=True)


def test_what_is_absent_does_not_exist(tmp_path):
    written(tmp_path, "npz")
    assert not ArrayFile(tmp_path / "array.npz", "test").exists
    assert not ArrayFile(tmp_path / "nothing.npz", "test").exists
    assert not ArrayFile(tmp_path / "nothing.npy").exists


@pytest.mark.parametrize("kind", ["npy", "npy.gz", "npz"])
@pytest.mark.parametrize("keep", [0, 4, -4])
def test_damage_is_one_line(tmp_path, kind, keep):
    file = written(tmp_path, kind)
    file.path.write_bytes(file.path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"array.* cannot be read") as error:
        file.read()
    assert "\n" not in str(error.value)


def test_objects_are_not_read(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        ArrayFile(path).read()
