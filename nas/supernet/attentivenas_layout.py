"""Descriptions of AttentiveNAS's networks (Wang et al. 2021, table 1) and their exact costs."""

from collections.abc import Mapping
from dataclasses import dataclass

from nas.supernet.layout import Conv, make_divisible

DIVISOR = 8  # numbers of hidden and squeeze-excite channels are multiples of this
SQUEEZE = 4  # ratio of hidden channels to squeeze-excite channels
FEATURES = 6  # ratio of channels after the head's expansion to channels of the last stage


@dataclass(frozen=True)
class Bottleneck:
    """Description of an inverted residual that has a shortcut also if the shape changes.

    Attributes:
        inputs, outputs: Number of channels.
        kernel, stride: Kernel size and stride of the depthwise convolution.
        expand_ratio: Ratio of hidden to input channels; 1 leaves the expansion out.
        squeeze_excite: Whether squeeze-excite follows the depthwise convolution.
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
        """Whether the shortcut is the identity."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def expand(self) -> Conv | None:
        """The 1 x 1 convolution to the hidden channels; ``None`` if the expansion is left out."""
        return Conv(self.inputs, self.hidden, norm=True) if self.expand_ratio > 1 else None

    @property
    def depthwise(self) -> Conv:
        """The depthwise convolution, which filters each hidden channel separately."""
        return Conv(self.hidden, self.hidden, norm=True, kernel=self.kernel, stride=self.stride, groups=self.hidden)

    @property
    def excite(self) -> tuple[Conv, Conv] | tuple[()]:
        """The two convolutions of squeeze-excite, for an input with side 1; empty without squeeze-excite."""
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
        """The shortcut's 1 x 1 convolution after average pooling; it is used only if the number of channels changes."""
        return Conv(self.inputs, self.outputs, norm=False, bias=False)

    def side_after(self, side: int) -> int:
        """Return the side of the output in pixels for an input of this side."""
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
        """The number of weights and biases, including those of batch norm and of an unused shortcut convolution.

        The original code counts in the same way: its extracted networks hold the unused weights.
        """
        convs: list[Conv] = [self.depthwise, *self.excite, self.project, self.shortcut]
        return sum(conv.params for conv in convs) + (self.expand.params if self.expand is not None else 0)


@dataclass(frozen=True)
class Head:
    """Description of the head: 1 x 1 convolution, average pooling, 1 x 1 convolution without batch norm, classifier.

    Attributes:
        inputs: Number of channels after the last stage.
        features: Number of channels before the classifier.
        n_classes: Number of outputs of the classifier.
    """

    inputs: int
    features: int
    n_classes: int

    @property
    def expand(self) -> Conv:
        """The convolution before the pooling."""
        return Conv(self.inputs, self.inputs * FEATURES, norm=True)

    @property
    def mix(self) -> Conv:
        """The convolution after the pooling, for an input with side 1."""
        return Conv(self.inputs * FEATURES, self.features, norm=False, bias=False)

    @property
    def classifier(self) -> Conv:
        """The linear layer of the classifier."""
        return Conv(self.features, self.n_classes, norm=False)

    def macs(self, side: int) -> int:
        """Return the multiply-adds for one image of this side."""
        return self.expand.macs(side) + self.mix.macs(1) + self.classifier.macs(1)

    @property
    def params(self) -> int:
        """The number of weights and biases, including those of batch norm."""
        return self.expand.params + self.mix.params + self.classifier.params


@dataclass(frozen=True)
class AttentiveNasLayout:
    """Description of a whole network.

    Attributes:
        stem: First convolution.
        blocks: Blocks by position in the largest network, without those that a smaller depth leaves out.
        drop_path: Probability in training that the residual of a block is dropped, 0 to 1, by position.
        head: Layers after the last stage.
    """

    stem: Conv
    blocks: Mapping[int, Bottleneck]
    drop_path: Mapping[int, float]
    head: Head


@dataclass(frozen=True)
class Design:
    """Properties that all architectures share.

    Attributes:
        stem_stride: Stride of the first convolution.
        strides: Stride of the first layer of each stage.
        squeeze_excite: Whether the layers of each stage have squeeze-excite.
        n_classes: Number of outputs of the classifier.
    """

    stem_stride: int
    strides: tuple[int, ...]
    squeeze_excite: tuple[bool, ...]
    n_classes: int

    def stem(self, width: int) -> Conv:
        """Return the first convolution, with ``width`` output channels."""
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
        """Return the head that follows the last stage, which has ``inputs`` channels."""
        return Head(inputs=inputs, features=features, n_classes=self.n_classes)

    def side(self, resolution: int, stage: int, layer: int) -> int:
        """Return the side of a layer's input in pixels; the stage after the last one stands for the head."""
        side = resolution
        for stride in (self.stem_stride, *self.strides[: stage + (layer > 0)]):
            side = (side - 1) // stride + 1
        return side
