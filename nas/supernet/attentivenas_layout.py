"""Descriptions of AttentiveNAS's networks (Wang et al. 2021, table 1) and their exact costs, by arithmetic alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from nas.supernet.layout import Conv, make_divisible

DIVISOR = 8  # hidden channels and squeeze-excite's are multiples of this
SQUEEZE = 4  # hidden channels over squeeze-excite's
FEATURES = 6  # channels of the head's expansion over the last stage's


@dataclass(frozen=True)
class Bottleneck:
    """An inverted residual with a shortcut for every change of shape.

    Attributes:
        inputs, outputs: Channels.
        kernel, stride: Kernel size and stride of the depthwise convolution.
        expand_ratio: Hidden channels over inputs; 1 leaves the expansion out.
        squeeze_excite: Whether it follows the depthwise convolution.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expand_ratio: int
    squeeze_excite: bool

    @property
    def hidden(self) -> int:
        """The channels of the depthwise convolution."""
        return make_divisible(self.inputs * self.expand_ratio, DIVISOR) if self.expand_ratio > 1 else self.inputs

    @property
    def identity(self) -> bool:
        """Whether the shortcut passes the input on as it is."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def expand(self) -> Conv | None:
        """The 1 x 1 convolution to the hidden channels."""
        return Conv(self.inputs, self.hidden, norm=True) if self.expand_ratio > 1 else None

    @property
    def depthwise(self) -> Conv:
        """The convolution of each hidden channel on its own."""
        return Conv(self.hidden, self.hidden, norm=True, kernel=self.kernel, stride=self.stride, groups=self.hidden)

    @property
    def excite(self) -> tuple[Conv, Conv] | tuple[()]:
        """The two convolutions of squeeze-excite, at a side of 1; none where there is no squeeze-excite."""
        if not self.squeeze_excite:
            return ()
        squeezed = make_divisible(self.hidden // SQUEEZE, DIVISOR)
        return Conv(self.hidden, squeezed, norm=False), Conv(squeezed, self.hidden, norm=False)

    @property
    def project(self) -> Conv:
        """The 1 x 1 convolution from the hidden channels."""
        return Conv(self.hidden, self.outputs, norm=True)

    @property
    def shortcut(self) -> Conv:
        """The shortcut's 1 x 1 convolution, after average pooling; it computes only where channels change."""
        return Conv(self.inputs, self.outputs, norm=False, bias=False)

    def side_after(self, side: int) -> int:
        """Return the side of the output for an input of this side, pixels."""
        return self.depthwise.side_after(side)

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        after = self.side_after(side)
        total: int = self.depthwise.macs(side) + self.project.macs(after) + sum(conv.macs(1) for conv in self.excite)
        if self.expand is not None:
            total += self.expand.macs(side)
        if self.inputs != self.outputs:
            total += self.shortcut.macs(after)
        return total

    @property
    def params(self) -> int:
        """The number of weights and biases, batch-norm's included; the shortcut's also where it does not compute.

        That is how the original code counts, whose extracted networks hold them.
        """
        convs: list[Conv] = [self.depthwise, *self.excite, self.project, self.shortcut]
        return sum(conv.params for conv in convs) + (self.expand.params if self.expand is not None else 0)


@dataclass(frozen=True)
class Head:
    """1 x 1 convolution, average pooling, 1 x 1 convolution without batch-norm, classifier."""

    inputs: int
    features: int
    n_classes: int

    @property
    def expand(self) -> Conv:
        """The convolution before the pooling."""
        return Conv(self.inputs, self.inputs * FEATURES, norm=True)

    @property
    def mix(self) -> Conv:
        """The convolution after the pooling, at a side of 1."""
        return Conv(self.inputs * FEATURES, self.features, norm=False, bias=False)

    @property
    def classifier(self) -> Conv:
        """The linear layer."""
        return Conv(self.features, self.n_classes, norm=False)

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        return self.expand.macs(side) + self.mix.macs(1) + self.classifier.macs(1)

    @property
    def params(self) -> int:
        """The number of weights and biases, batch-norm's included."""
        return self.expand.params + self.mix.params + self.classifier.params


@dataclass(frozen=True)
class AttentiveNasLayout:
    """A whole network.

    Attributes:
        stem: The first convolution.
        blocks: By position in the largest network: those that a smaller depth leaves out are missing.
        drop_path: By position, the probability in training that the block's own path is dropped.
        head: The rest.
    """

    stem: Conv
    blocks: Mapping[int, Bottleneck]
    drop_path: Mapping[int, float]
    head: Head


@dataclass(frozen=True)
class Design:
    """What all architectures have in common.

    Attributes:
        stem_stride: Stride of the first convolution.
        strides: Stride of each stage's first layer.
        squeeze_excite: Whether the layers of each stage have squeeze-excite.
        n_classes: Outputs of the classifier.
    """

    stem_stride: int
    strides: tuple[int, ...]
    squeeze_excite: tuple[bool, ...]
    n_classes: int

    def stem(self, width: int) -> Conv:
        """Return the first convolution, to ``width`` channels."""
        return Conv(3, width, norm=True, kernel=3, stride=self.stem_stride)

    def block(self, stage: int, layer: int, *, inputs: int, outputs: int, kernel: int, expand_ratio: int) -> Bottleneck:
        """Return a layer of a stage."""
        return Bottleneck(
            inputs=inputs,
            outputs=outputs,
            kernel=kernel,
            stride=self.strides[stage] if layer == 0 else 1,
            expand_ratio=expand_ratio,
            squeeze_excite=self.squeeze_excite[stage],
        )

    def head(self, inputs: int, features: int) -> Head:
        """Return what follows the last stage, which has ``inputs`` channels."""
        return Head(inputs=inputs, features=features, n_classes=self.n_classes)

    def side(self, resolution: int, stage: int, layer: int) -> int:
        """Return the side of a layer's input, or of the head's as the first layer of the stage after the last."""
        side = resolution
        for stride in (self.stem_stride, *self.strides[: stage + (layer > 0)]):
            side = (side - 1) // stride + 1
        return side
