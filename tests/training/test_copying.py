import torch

from nas.training.copying import copied


def test_tensors_are_copies_and_the_rest_is_as_it_was():
    tensor = torch.ones(2, requires_grad=True)
    before = {"a": [tensor, {"b": 3, "c": (1, 2)}], "d": None}
    after = copied(before)
    with torch.no_grad():
        tensor.fill_(7)
    assert torch.equal(after["a"][0], torch.ones(2))
    assert not after["a"][0].requires_grad
    assert after["a"][1] == {"b": 3, "c": (1, 2)}
    assert after["d"] is None
