import pytest
import torch

from nas.supernet.elastic import cut
from nas.supernet.layout import Block, Conv, make_divisible


@pytest.mark.parametrize(
    ("channels", "divisor", "expected"),
    [
        (1, 4, 4),
        (4, 4, 4),
        (4.4, 4, 4),
        (4.5, 4, 8),
        (6, 4, 8),
        (10, 4, 12),
        (33, 8, 32),
        (36, 8, 40),
        (16 * 1.2, 8, 24),
    ],
)
def test_make_divisible(channels: float, divisor: int, expected: int) -> None:
    assert make_divisible(channels, divisor) == expected


def test_convolution_costs_by_hand() -> None:
    conv = Conv(3, 8, norm=True, kernel=5, stride=2)
    assert conv.side_after(7) == 4
    assert conv.macs(7) == 3 * 8 * 25 * 16
    assert conv.params == 3 * 8 * 25 + 16
    assert Conv(6, 4, norm=False).params == 28
    assert Conv(8, 8, norm=True, kernel=3, groups=8).macs(4) == 8 * 9 * 16


@pytest.mark.parametrize(("stride", "outputs", "residual"), [(1, 4, True), (2, 4, False), (1, 8, False)])
def test_blocks_add_their_input_where_shapes_allow(stride: int, outputs: int, residual: bool) -> None:
    block = Block(inputs=4, hidden=8, outputs=outputs, kernel=3, stride=stride, squeeze=0, hard_swish=False)
    assert block.residual is residual


def test_cut_takes_first_channels_and_the_centre_of_kernels() -> None:
    weight = torch.arange(2 * 3 * 5 * 5).reshape(2, 3, 5, 5)
    assert torch.equal(cut(weight, torch.Size((1, 2, 3, 3))), weight[:1, :2, 1:4, 1:4])
    assert cut(weight, weight.shape) is weight
    assert torch.equal(cut(torch.arange(6), torch.Size((4,))), torch.arange(4))
