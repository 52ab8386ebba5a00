import copy

import pytest
import torch
from torch import nn

from nas.supernet.ofa_modules import DropResidual, Recomputed, regularize


def test_dropped_paths_keep_the_mean() -> None:
    layer = DropResidual(0.25)
    x = torch.ones(4000, 2, 3, 3)
    torch.manual_seed(0)
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))  # an image is dropped as a whole
    assert abs(y.mean() - 1) < 0.03
    assert torch.equal(layer.eval()(x), x)


def block() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))


def test_recomputed_blocks_give_the_same_gradients_and_statistics() -> None:
    plain, recomputed = block(), block()
    regularize([(0.0, recomputed, None)], drop_path=0.0, gradient_checkpointing=True)
    copied = copy.deepcopy(recomputed)
    x = torch.randn(5, 3, 2, 2)
    for module in (plain, recomputed, copied):
        torch.manual_seed(1)
        torch.autograd.backward(module(x).square().sum())
    for module in (recomputed, copied):
        for one, two in zip(plain.parameters(), module.parameters(), strict=True):
            assert one.grad is not None
            assert torch.equal(one.grad, two.grad if two.grad is not None else torch.tensor(0))
        for a, b in zip(plain[1].buffers(), module[1].buffers(), strict=True):
            if a.is_floating_point():
                torch.testing.assert_close(a, b)
        assert module[1].momentum == plain[1].momentum


def test_a_copy_computes_with_its_own_weights() -> None:
    module = block().eval()
    module.forward = Recomputed(module)  # type: ignore[method-assign]
    copied = copy.deepcopy(module)
    with torch.no_grad():
        copied[0].weight.zero_()
        copied[0].bias.zero_()
    x = torch.randn(2, 3, 2, 2)
    assert torch.equal(copied(x), torch.zeros(2, 4, 2, 2))
    assert not torch.equal(module(x), copied(x))


def test_probability_grows_with_depth_and_needs_a_shortcut() -> None:
    blocks = [(place, nn.Identity(), nn.Sequential()) for place in (0.0, 0.5)]
    regularize([*blocks, (0.75, nn.Identity(), None)], drop_path=0.4, gradient_checkpointing=False)
    layers = [residual[0] for _, _, residual in blocks]
    assert [layer.probability for layer in layers if isinstance(layer, DropResidual)] == [0.0, 0.2]
