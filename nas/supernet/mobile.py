"""MobileNetV3-style networks (Howard et al. 2019), built from ordinary PyTorch modules after a layout."""

from torch import Tensor, nn

from nas.supernet.layout import Block, Conv, Layout


def convolution(conv: Conv, device: str | None = None) -> nn.Conv2d:
    """Build a convolution from its description; its batch norm, if any, is not part of it."""
    return nn.Conv2d(
        conv.inputs,
        conv.outputs,
        conv.kernel,
        stride=conv.stride,
        padding=conv.kernel // 2,
        groups=conv.groups,
        bias=conv.bias and not conv.norm,
        device=device,
    )


def _normed(conv: Conv, device: str) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return convolution(conv, device), nn.BatchNorm2d(conv.outputs, device=device)


class SqueezeExcite(nn.Module):
    """Squeeze-excite: scales each channel by a gate computed from the means of all channels (Hu et al. 2018)."""

    def __init__(self, squeeze: Conv, excite: Conv, device: str) -> None:
        """Build the module from the descriptions of its two convolutions, on a Torch device."""
        super().__init__()
        self.squeeze = convolution(squeeze, device)
        self.excite = convolution(excite, device)
        self.activation = nn.ReLU()
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        gate: Tensor = self.gate(self.excite(self.activation(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return x * gate


class InvertedResidual(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, squeeze-excite, projection.

    The input is added to the output if the description says so.
    """

    def __init__(self, block: Block, device: str) -> None:
        """Build the module from the description of a block, on a Torch device."""
        super().__init__()
        self.residual = block.residual
        activation = nn.Hardswish if block.hard_swish else nn.ReLU
        self.expand = nn.Sequential(*_normed(block.expand, device), activation())
        self.depthwise = nn.Sequential(*_normed(block.depthwise, device), activation())
        self.excite = SqueezeExcite(*block.excite, device) if block.excite else nn.Identity()
        self.project, self.norm = _normed(block.project, device)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, side, side) to (n, outputs, side after the stride, side after the stride)."""
        out: Tensor = self.norm(self.project(self.excite(self.depthwise(self.expand(x)))))
        return x + out if self.residual else out


class MobileNetwork(nn.Module):
    """Classification network built from a layout.

    Parameter names do not depend on sizes or on absent layers. The tensors of a smaller network therefore have the same
    names as those of a larger one.
    """

    def __init__(self, layout: Layout, dropout: float, device: str) -> None:
        """Build the network.

        Args:
            layout: Description of the network.
            dropout: Dropout probability of the features before the classifier, 0 to 1, in training.
            device: Torch device of the tensors; ``"meta"`` to allocate no memory for them.
        """
        super().__init__()
        self.stem = nn.Sequential(*_normed(layout.stem, device), nn.Hardswish())
        self.stages = nn.ModuleList(
            nn.Sequential(*(InvertedResidual(block, device) for block in stage)) for stage in layout.stages
        )
        self.features = nn.Sequential(*_normed(layout.features, device), nn.Hardswish())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(layout.classifier.inputs, layout.classifier.outputs, device=device)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images, (n, 3, side, side), to logits, (n, classes)."""
        x: Tensor = self.stem(images)
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.classifier(self.dropout(self.features(x).mean((2, 3))))
        return logits
