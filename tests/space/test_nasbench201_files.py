import bz2
import os
import pickle

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.space.nasbench201_files import load, read_cells
from tests.nasbench import results, whole_file, written

CELLS = [(4, 0, 1, 2, 3, 1), (0, 0, 0, 0, 0, 0)]


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def write_compressed(path, value):
    with bz2.open(path, "wb") as file:
        pickle.dump(value, file, protocol=4)


@pytest.fixture
def infos():
    return [({"12": results(cell, 12), "200": results(cell, 200)}) for cell in CELLS]


def test_folder_of_natsbench(tmp_path, infos):
    write_compressed(
        tmp_path / "meta.pickle.pbz2",
        {"meta_archs": [written(cell) for cell in CELLS], "arch2infos": None, "evaluated_indexes": set()},
    )
    write_compressed(tmp_path / "000001.pickle.pbz2", infos[1])
    assert list(read_cells(tmp_path)) == [(written(CELLS[1]), infos[1])]


def test_file_of_natsbench(tmp_path, infos):
    path = tmp_path / "NATS-tss.pickle.pbz2"
    write_compressed(
        path,
        {
            "meta_archs": [written(cell) for cell in CELLS],
            "arch2infos": dict(enumerate(infos)),
            "evaluated_indexes": {0, 1},
        },
    )
    assert list(read_cells(path)) == [(written(cell), found) for cell, found in zip(CELLS, infos, strict=True)]


@pytest.mark.parametrize("zipped", [True, False])
def test_file_of_nasbench201(tmp_path, infos, zipped):
    """Written by torch, in its present format and in that of the published file's time."""
    path = tmp_path / "NAS-Bench-201.pth"
    content = whole_file([(cell, found["200"]) for cell, found in zip(CELLS, infos, strict=True)])
    content["arch2infos"] = {i: {"less": found["12"], "full": found["200"]} for i, found in enumerate(infos)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert list(read_cells(path)) == [(written(cell), found) for cell, found in zip(CELLS, infos, strict=True)]


def test_numbers_of_numpy_are_read_as_they_are(tmp_path):
    values = [np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True)]
    write_compressed(tmp_path / "a.pbz2", values)
    assert load(tmp_path / "a.pbz2") == [0.1, float(np.float32(0.1)), -3, 1]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", ["pbz2", "zip", "legacy"])
def test_no_code_is_run(tmp_path, kind, protocol):
    mark, path = tmp_path / "mark", tmp_path / ("a.pbz2" if kind == "pbz2" else "a.pth")
    content = whole_file([(CELLS[0], results(CELLS[0], 200))]) | {"more": Malicious(mark)}
    if kind == "pbz2":
        with bz2.open(path, "wb") as file:
            pickle.dump(content, file, protocol=protocol)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip", pickle_protocol=protocol)
    with pytest.raises(
        UserError, match=r"a\.(pbz2|pth) cannot be read .*: it names posix\.mkdir, which could run code"
    ):
        load(path)
    assert not mark.exists()


@pytest.mark.parametrize("value", [np.array([Malicious("x")], dtype=object), np.dtype("O"), np.zeros(2), print, open])
def test_nothing_but_plain_values_is_built(tmp_path, value):
    write_compressed(tmp_path / "a.pbz2", value)
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "a.pbz2")


@pytest.mark.parametrize("name", ["a.pbz2", "a.pth"])
def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    for content in (b"", b"no table", bz2.compress(pickle.dumps({"a": 1})), bz2.compress(b"")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"space\.path=.*{name} ") as error:
            list(read_cells(path))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="does not exist"):
        list(read_cells(tmp_path))  # a folder without meta.pickle.pbz2
