"""Descriptions of MobileNetV3-style networks (Howard et al. 2019) and their exact costs, computed without a network."""

from dataclasses import dataclass


def make_divisible(channels: float, divisor: int) -> int:
    """Round to a positive multiple of ``divisor`` by MobileNet's rule: never down by more than 10 %.

    Example:
        >>> make_divisible(60, 8), make_divisible(11, 8)
        (64, 16)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@dataclass(frozen=True)
class Conv:
    """Description of a convolution with "same" padding, followed by batch norm, a bias or neither.

    A linear layer is described as a 1 x 1 convolution of an input with side 1.

    Attributes:
        inputs, outputs: Number of channels.
        kernel, stride, groups: Arguments of ``torch.nn.Conv2d``.
        norm: Whether batch norm follows.
        bias: Whether the convolution has a bias; ignored if batch norm follows.

    Example:
        >>> conv = Conv(3, 16, norm=True, kernel=3, stride=2)
        >>> conv.side_after(32), conv.macs(32), conv.params
        (16, 110592, 464)
    """

    inputs: int
    outputs: int
    norm: bool
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = True

    def side_after(self, side: int) -> int:
        """Return the side of the output in pixels for an input of this side."""
        return (side - 1) // self.stride + 1

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        return self.inputs // self.groups * self.outputs * self.kernel**2 * self.side_after(side) ** 2

    @property
    def params(self) -> int:
        """The number of weights and biases, including those of batch norm."""
        offsets = 2 if self.norm else int(self.bias)
        return self.inputs // self.groups * self.outputs * self.kernel**2 + self.outputs * offsets


@dataclass(frozen=True)
class Block:
    """Description of an inverted residual: expansion, depthwise convolution, squeeze-excite, projection.

    Attributes:
        inputs, hidden, outputs: Number of channels before, inside and after the block.
        kernel, stride: Kernel size and stride of the depthwise convolution.
        squeeze: Number of channels of the squeeze-excite bottleneck; 0 for no squeeze-excite.
        hard_swish: Whether activations are hard swish instead of ReLU.

    Example:
        >>> block = Block(inputs=16, hidden=32, outputs=16, kernel=3, stride=1, squeeze=8, hard_swish=True)
        >>> block.residual, block.params
        (True, 2024)
    """

    inputs: int
    hidden: int
    outputs: int
    kernel: int
    stride: int
    squeeze: int
    hard_swish: bool

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def expand(self) -> Conv:
        """The 1 x 1 convolution to the hidden channels."""
        return Conv(self.inputs, self.hidden, norm=True)

    @property
    def depthwise(self) -> Conv:
        """The depthwise convolution, which filters each hidden channel separately."""
        return Conv(self.hidden, self.hidden, norm=True, kernel=self.kernel, stride=self.stride, groups=self.hidden)

    @property
    def excite(self) -> tuple[Conv, Conv] | tuple[()]:
        """The two convolutions of squeeze-excite, for an input with side 1; empty without squeeze-excite."""
        if self.squeeze == 0:
            return ()
        return Conv(self.hidden, self.squeeze, norm=False), Conv(self.squeeze, self.hidden, norm=False)

    @property
    def project(self) -> Conv:
        """The 1 x 1 convolution from the hidden channels."""
        return Conv(self.hidden, self.outputs, norm=True)

    def side_after(self, side: int) -> int:
        """Return the side of the output in pixels for an input of this side."""
        return self.depthwise.side_after(side)

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        after = self.side_after(side)
        excite = sum(conv.macs(1) for conv in self.excite)
        return self.expand.macs(side) + self.depthwise.macs(side) + excite + self.project.macs(after)

    @property
    def params(self) -> int:
        """The number of weights and biases, including those of batch norm."""
        return sum(conv.params for conv in (self.expand, self.depthwise, *self.excite, self.project))


@dataclass(frozen=True)
class Layout:
    """Description of a whole network: stem, stages of blocks, 1 x 1 convolution to the features, classifier."""

    stem: Conv
    stages: tuple[tuple[Block, ...], ...]
    features: Conv
    classifier: Conv
