"""Descriptions of MobileNetV3-style networks (Howard et al. 2019) and their exact costs, by arithmetic alone."""

from dataclasses import dataclass


def make_divisible(channels: float, divisor: int) -> int:
    """Round to a multiple of ``divisor``, at least one, never more than 10 % down (MobileNet's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@dataclass(frozen=True)
class Conv:
    """A convolution with "same" padding, then batch-norm, a bias or neither; a linear layer is one at a side of 1.

    Attributes:
        inputs, outputs: Channels.
        kernel, stride, groups: As in ``torch.nn.Conv2d``.
        norm: Whether batch-norm follows.
        bias: Whether there is a bias where no batch-norm follows.
    """

    inputs: int
    outputs: int
    norm: bool
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = True

    def side_after(self, side: int) -> int:
        """Return the side of the output for an input of this side, pixels."""
        return (side - 1) // self.stride + 1

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        return self.inputs // self.groups * self.outputs * self.kernel**2 * self.side_after(side) ** 2

    @property
    def params(self) -> int:
        """The number of weights and biases, batch-norm's included."""
        offsets = 2 if self.norm else int(self.bias)
        return self.inputs // self.groups * self.outputs * self.kernel**2 + self.outputs * offsets


@dataclass(frozen=True)
class Block:
    """An inverted residual: expansion, depthwise convolution, squeeze-excite (channels; 0 for none), projection."""

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
        """The convolution of each hidden channel on its own."""
        return Conv(self.hidden, self.hidden, norm=True, kernel=self.kernel, stride=self.stride, groups=self.hidden)

    @property
    def excite(self) -> tuple[Conv, Conv] | tuple[()]:
        """The two convolutions of squeeze-excite, at a side of 1; none where there is no squeeze-excite."""
        if self.squeeze == 0:
            return ()
        return Conv(self.hidden, self.squeeze, norm=False), Conv(self.squeeze, self.hidden, norm=False)

    @property
    def project(self) -> Conv:
        """The 1 x 1 convolution from the hidden channels."""
        return Conv(self.hidden, self.outputs, norm=True)

    def side_after(self, side: int) -> int:
        """Return the side of the output for an input of this side, pixels."""
        return self.depthwise.side_after(side)

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        after = self.side_after(side)
        excite = sum(conv.macs(1) for conv in self.excite)
        return self.expand.macs(side) + self.depthwise.macs(side) + excite + self.project.macs(after)

    @property
    def params(self) -> int:
        """The number of weights and biases, batch-norm's included."""
        return sum(conv.params for conv in (self.expand, self.depthwise, *self.excite, self.project))


@dataclass(frozen=True)
class Layout:
    """A whole network: stem, stages of blocks, 1 x 1 convolution to the features, classifier."""

    stem: Conv
    stages: tuple[tuple[Block, ...], ...]
    features: Conv
    classifier: Conv
