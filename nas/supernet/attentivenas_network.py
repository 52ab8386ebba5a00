"""AttentiveNAS's networks (Wang et al. 2021), built from a layout, with the published tensor names."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, silu
from torch.utils.checkpoint import checkpoint

from nas.supernet.attentivenas_layout import AttentiveNasLayout, Bottleneck, Head
from nas.supernet.layout import Conv
from nas.supernet.mobile import convolution

BN_EPS = 1e-5
BN_MOMENTUM = 0.1


def _named(**modules: nn.Module | None) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, module) for name, module in modules.items() if module is not None))


class Norm(nn.Module):
    """Batch norm, in a module of its own to match the published tensor names."""

    def __init__(self, channels: int) -> None:
        """Build the module for a number of channels."""
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)

    def add_tracking(self) -> None:
        """Add the statistics of two architectures that published checkpoints hold; the network does not use them."""
        tracking = [nn.BatchNorm2d(self.bn.num_features, affine=False) for _ in range(2)]
        self.bn_tracking = nn.ModuleList(tracking)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        out: Tensor = self.bn(x)
        return out


def _layer(conv: Conv, activation: bool = True) -> nn.Sequential:
    norm = Norm(conv.outputs) if conv.norm else None
    return _named(conv=_named(conv=convolution(conv)), bn=norm, act=Swish() if activation else None)


class Swish(nn.Module):
    """Swish activation x sigmoid(x) (Ramachandran et al. 2017).

    In eval mode it is computed in two steps, to round as the original code does.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        return silu(x) if self.training else x * torch.sigmoid(x)


class AttentiveSqueezeExcite(nn.Module):
    """Squeeze-excite: scales each channel by a gate computed from the means of all channels (Hu et al. 2018)."""

    def __init__(self, squeeze: Conv, excite: Conv) -> None:
        """Build the module from the descriptions of its two convolutions."""
        super().__init__()
        self.fc = _named(
            reduce=convolution(squeeze), relu=nn.ReLU(), expand=convolution(excite), h_sigmoid=nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        gate: Tensor = self.fc(x.mean(3, keepdim=True).mean(2, keepdim=True))
        return x * gate


class Shortcut(nn.Module):
    """Shortcut: the input, average-pooled if the stride is above 1, convolved if the number of channels changes."""

    def __init__(self, block: Bottleneck) -> None:
        """Build the module from the description of its block."""
        super().__init__()
        self.stride = block.stride
        self.convolve = block.inputs != block.outputs
        self.conv = _named(conv=convolution(block.shortcut))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, side, side) to (n, outputs, side after the stride, side after the stride)."""
        pooled = avg_pool2d(x, self.stride, padding=x.shape[-1] % 2) if self.stride > 1 else x
        out: Tensor = self.conv(pooled) if self.convolve else pooled
        return out


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): drops a path for some images in training and scales up the others."""

    def __init__(self, probability: float) -> None:
        """Set the drop probability, at least 0 and less than 1."""
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, side, side) to the same shape."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(keep) / keep


class ResidualBottleneck(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, squeeze-excite, projection; plus the shortcut."""

    def __init__(self, block: Bottleneck, drop_path: float) -> None:
        """Build the block.

        Args:
            block: Description of the block.
            drop_path: Probability in training that an image's residual is dropped; ignored if the shortcut is not the
                identity.
        """
        super().__init__()
        depthwise = _layer(block.depthwise)
        if block.excite:
            depthwise.add_module("se", AttentiveSqueezeExcite(*block.excite))
        self.mobile_inverted_conv = _named(
            inverted_bottleneck=_layer(block.expand) if block.expand is not None else None,
            depth_conv=depthwise,
            point_linear=_layer(block.project, activation=False),
        )
        self.shortcut = Shortcut(block)
        self.drop_path = DropPath(drop_path if block.identity else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, side, side) to (n, outputs, side after the stride, side after the stride)."""
        shortcut: Tensor = self.shortcut(x)
        path: Tensor = self.drop_path(self.mobile_inverted_conv(x))
        return path + shortcut


def _last_conv(head: Head) -> nn.Sequential:
    return _named(
        final_expand_layer=_layer(head.expand),
        pool=nn.AdaptiveAvgPool2d(1),
        feature_mix_layer=_layer(head.mix),
    )


class AttentiveNetwork(nn.Module):
    """Classification network built from a layout.

    A block's name is its position in the largest network. The tensors of a smaller network therefore have the names of
    the larger tensors that they are slices of.
    """

    def __init__(self, layout: AttentiveNasLayout, dropout: float, gradient_checkpointing: bool) -> None:
        """Build the network.

        Args:
            layout: Description of the network.
            dropout: Dropout probability of the features before the classifier, 0 to 1, in training.
            gradient_checkpointing: Whether training recomputes each block in the backward pass to save memory.
        """
        super().__init__()
        self.gradient_checkpointing = gradient_checkpointing
        self.first_conv = _layer(layout.stem)
        self.blocks = nn.ModuleDict(
            {str(i): ResidualBottleneck(block, layout.drop_path[i]) for i, block in layout.blocks.items()}
        )
        self.last_conv = _last_conv(layout.head)
        self.dropout = nn.Dropout(dropout)
        classifier = layout.head.classifier
        self.classifier = _named(linear=_named(linear=nn.Linear(classifier.inputs, classifier.outputs)))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images, (n, 3, side, side), to logits, (n, classes)."""
        x: Tensor = self.first_conv(images)
        recompute = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        for block in self.blocks.values():
            x = _recomputed(block, x) if recompute else block(x)
        logits: Tensor = self.classifier(self.dropout(self.last_conv(x).flatten(1)))
        return logits


def _recomputed(block: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = checkpoint(block, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _untracked(block)))
    return out


@contextmanager
def _untracked(block: nn.Module) -> Iterator[None]:
    """Freeze the batch norm statistics: the first pass has counted this batch already."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, counter) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counter
