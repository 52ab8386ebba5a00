import pytest

from nas.errors import UserError
from nas.task.device import torch_device


def test_devices():
    assert torch_device("cpu") == "cpu"
    with pytest.raises(UserError, match="choices: auto, cpu, cuda"):
        torch_device("tpu")
    with pytest.raises(UserError, match="is not there"):
        torch_device("cuda:99")
