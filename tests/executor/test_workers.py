import os

import pytest
import torch

from nas.errors import UserError
from nas.executor.workers import devices, split_up


def test_the_devices_of_workers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices("cuda", None, 1, None) == ("cuda:0", "cuda:1", "cuda:2")
    assert devices("cuda:1", None, 2, 7) == ("cuda:1", "cuda:1")
    assert devices("cuda", (2, 0), 2, None) == ("cuda:2", "cuda:0", "cuda:2", "cuda:0")
    assert devices("cpu", None, 4, 3) == ("cpu",) * 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    threads = torch.get_num_threads()
    for number, workers in ((1, 8), (3, 2), (16, 1)):
        torch.set_num_threads(number)
        assert devices("cpu", None, 1, None) == ("cpu",) * workers
    torch.set_num_threads(threads)
    with pytest.raises(UserError, match=r"executor.gpus=\[0, 3\]: there is no GPU 3; 3 found"):
        devices("cuda", (0, 3), 1, None)
    with pytest.raises(UserError, match=r"executor\.gpus needs device=cuda"):
        devices("cpu", (0,), 1, None)
    with pytest.raises(UserError, match=r"executor\.gpus is empty"):
        devices("cuda", (), 1, None)


def test_groups_are_split_so_that_all_workers_have_work():
    assert split_up([[3, 1, 2], [0]], 4) == [[0], [2], [1], [3]]
    assert split_up([list(range(8))], 4) == [[6, 7], [4, 5], [2, 3], [0, 1]]
    assert split_up([[0, 1], [2, 3], [4, 5]], 3) == [[4, 5], [2, 3], [0, 1]]
    assert split_up([[0]], 4) == [[0]]
