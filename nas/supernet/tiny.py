"""``supernet=tiny``: an elastic MobileNetV3-style network for small images."""

import hashlib
import json
from collections.abc import Callable
from itertools import product
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.seeding import rng_for
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable
from nas.supernet.base import VERSION
from nas.supernet.elastic import ElasticSupernet, check_stages, on_cpu, tensors_of
from nas.supernet.layout import Block, Conv, Layout, make_divisible
from nas.supernet.mobile import InvertedResidual, MobileNetwork
from nas.types import Architecture, NonNegativeInt, PositiveFloat, PositiveInt, Probability

DIVISOR = 4  # all numbers of channels are multiples of this
SQUEEZE = 4  # ratio of hidden channels to the channels of the squeeze-excite bottleneck


class Stage(NamedTuple):
    """One stage of the network.

    Attributes:
        width: Number of output channels of its layers.
        stride: Stride of its first layer.
        squeeze_excite: Whether its layers have squeeze-excite.
        hard_swish: Whether its layers use hard swish instead of ReLU.
    """

    width: int
    stride: int
    squeeze_excite: bool
    hard_swish: bool


@final
class Tiny(ElasticSupernet):
    """Small supernet with elastic depth, kernel size, expansion, width and resolution.

    A smaller layer uses the first channels and the center of the kernels of the largest one (Once-for-All,
    Cai et al. 2020, without its learned kernel transformation; BigNAS, Yu et al. 2020).

    Example:
        >>> supernet = Tiny(
        ...     n_classes=10, stem_width=8, stem_stride=2, stage_widths=(8, 16), strides=(1, 2), feature_width=64,
        ...     squeeze_excite=(False, True), hard_swish=(False, True), depths=(1, 2), kernel_sizes=(3, 5),
        ...     expand_ratios=(1, 2), widths=(0.5, 1.0), resolutions=(16, 24), dropout=0.0, seed=0,
        ... )
        >>> largest = supernet.space.decode(supernet.space.largest)
        >>> supernet.forward(torch.zeros(2, 3, 24, 24), largest).shape
        torch.Size([2, 10])
        >>> int(supernet.costs()["params"](supernet.space.largest[None])[0])
        7070
    """

    space: OfaSpace
    trained = False

    def __init__(
        self,
        *,
        n_classes: PositiveInt,
        stem_width: PositiveInt,
        stem_stride: PositiveInt,
        stage_widths: tuple[PositiveInt, ...],
        strides: tuple[PositiveInt, ...],
        squeeze_excite: tuple[bool, ...],
        hard_swish: tuple[bool, ...],
        feature_width: PositiveInt,
        depths: tuple[PositiveInt, ...],
        kernel_sizes: tuple[PositiveInt, ...],
        expand_ratios: tuple[PositiveFloat, ...],
        widths: tuple[PositiveFloat, ...],
        resolutions: tuple[PositiveInt, ...],
        dropout: Probability,
        seed: NonNegativeInt,
    ) -> None:
        """Build the network with random weights.

        Args:
            n_classes: Number of outputs of the classifier.
            stem_width: Number of channels of the first convolution, before the width multiplier.
            stem_stride: Stride of the first convolution.
            stage_widths: Number of channels of each stage, before the width multiplier.
            strides: Stride of the first layer of each stage.
            squeeze_excite: Whether the layers of each stage have squeeze-excite.
            hard_swish: Whether the layers of each stage use hard swish instead of ReLU.
            feature_width: Number of channels before the classifier, before the width multiplier.
            depths: Choices of the number of layers in a stage, ascending.
            kernel_sizes: Choices of the kernel size of the depthwise convolutions, odd, ascending.
            expand_ratios: Choices of the expansion ratio (hidden over input channels) of a layer, ascending.
            widths: Choices of the width multiplier of all channels, ascending.
            resolutions: Choices of the input resolution (side of the square image) in pixels, ascending.
            dropout: Dropout probability of the features before the classifier, 0 to 1, in training.
            seed: Seed of the initial weights, 0 or more.

        Raises:
            UserError: If a kernel size is even, choices do not ascend, or a setting lacks a value for a stage.
        """
        settings = {key: value for key, value in locals().items() if key not in {"self", "__class__"}}
        per_stage = {"strides": strides, "squeeze_excite": squeeze_excite, "hard_swish": hard_swish}
        check_stages("stage_widths", stage_widths, per_stage)
        if any(kernel % 2 == 0 for kernel in kernel_sizes):
            raise UserError(f"kernel_sizes must be odd, got {list(kernel_sizes)}")
        self.space = OfaSpace(
            n_stages=len(stage_widths),
            depths=depths,
            kernel_sizes=kernel_sizes,
            expand_ratios=expand_ratios,
            resolutions=resolutions,
            widths=widths,
        )
        self._stem_width, self._stem_stride, self._feature_width = stem_width, stem_stride, feature_width
        self._stages = [Stage(*each) for each in zip(stage_widths, strides, squeeze_excite, hard_swish, strict=True)]
        self._n_classes, self._dropout = n_classes, dropout
        self.fingerprint = hashlib.sha256(json.dumps(["tiny", VERSION, settings]).encode()).hexdigest()
        self.module = on_cpu(self._on_meta(self.space.decode(self.space.largest)))
        _initialise(self.module, torch.Generator().manual_seed(int(rng_for(seed, 0, "weights").integers(2**63))))

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture with the shared weights, (n, 3, r, r) -> (n, classes)."""
        subnet = self._on_meta(architecture).train(self.module.training)
        logits: Tensor = torch.func.functional_call(subnet, tensors_of(self.module, subnet), (images,))
        return logits

    def _table(self, cost: Callable[[Conv | Block, int], int]) -> AdditiveTable:
        """Build a table with one term for stem and head, and one term for each layer.

        ``cost`` maps a part of the network and the side of its input to the part's cost.
        """
        space = self.space
        ends = [[self._ends(cost, r, w) for w in space.widths] for r in space.resolutions]
        terms = [self._term([], np.array(ends))]
        names = ["stem, features, classifier"]
        for stage, layer in product(range(len(self._stages)), range(space.max_depth)):
            choices = product(space.kernel_sizes, space.expand_ratios, space.resolutions, space.widths)
            layers = np.array(
                [cost(self._block(w, stage, layer, k, e), self._side(r, stage, layer)) for k, e, r, w in choices]
            )
            present = np.array(space.depths) > layer
            values = np.multiply.outer(present, layers).reshape(
                len(present), len(space.kernel_sizes), len(space.expand_ratios), *np.shape(ends)
            )
            genes = [space.depth_gene(stage), space.kernel_gene(stage, layer), space.expand_gene(stage, layer)]
            terms.append(self._term(genes, values))
            names.append(f"stage{stage + 1}.layer{layer + 1}")
        return AdditiveTable(space.n_genes, terms, names)

    def _term(self, genes: list[int], values: npt.NDArray[np.int64]) -> tuple[list[int], npt.NDArray[np.int64]]:
        """Add the genes of resolution and width to a term; they are the last two axes of its values."""
        genes = [*genes, self.space.resolution_gene]
        if self.space.width_gene is None:
            return genes, values[..., 0]
        return [*genes, self.space.width_gene], values

    def _ends(self, cost: Callable[[Conv | Block, int], int], resolution: int, width: float) -> int:
        """Return the cost of the parts of every architecture: stem, features and classifier."""
        features, classifier = self._head(width)
        last = self._side(resolution, len(self._stages), 0)
        return cost(self._stem(width), resolution) + cost(features, last) + cost(classifier, 1)

    def _side(self, resolution: int, stage: int, layer: int) -> int:
        """Return the side of a layer's input in pixels."""
        side = resolution
        for stride in (self._stem_stride, *(each.stride for each in self._stages[: stage + (layer > 0)])):
            side = (side - 1) // stride + 1
        return side

    def _on_meta(self, architecture: Architecture) -> MobileNetwork:
        return MobileNetwork(self._layout(architecture), self._dropout, device="meta")

    def _channels(self, width: float, stage: int) -> int:
        return make_divisible(self._stages[stage].width * width, DIVISOR)

    def _stem(self, width: float) -> Conv:
        return Conv(3, make_divisible(self._stem_width * width, DIVISOR), norm=True, kernel=3, stride=self._stem_stride)

    def _block(self, width: float, stage: int, layer: int, kernel: int, expand: float) -> Block:
        outputs = self._channels(width, stage)
        before = self._stem(width).outputs if stage == 0 else self._channels(width, stage - 1)
        inputs = before if layer == 0 else outputs
        hidden = make_divisible(inputs * expand, DIVISOR)
        return Block(
            inputs=inputs,
            hidden=hidden,
            outputs=outputs,
            kernel=kernel,
            stride=self._stages[stage].stride if layer == 0 else 1,
            squeeze=make_divisible(hidden / SQUEEZE, DIVISOR) if self._stages[stage].squeeze_excite else 0,
            hard_swish=self._stages[stage].hard_swish,
        )

    def _head(self, width: float) -> tuple[Conv, Conv]:
        features = make_divisible(self._feature_width * width, DIVISOR)
        last = self._channels(width, len(self._stages) - 1)
        return Conv(last, features, norm=True), Conv(features, self._n_classes, norm=False)

    def _layout(self, architecture: Architecture) -> Layout:
        config = architecture.config
        layers = iter(zip(config["ks"], config["e"], strict=True))
        stages = tuple(
            tuple(self._block(config["w"], stage, layer, *next(layers)) for layer in range(depth))
            for stage, depth in enumerate(config["d"])
        )
        features, classifier = self._head(config["w"])
        return Layout(stem=self._stem(config["w"]), stages=stages, features=features, classifier=classifier)


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Initialize a network: He's normal weights, batch norm as the identity, the last batch norm of residuals as zero.

    Blocks that start as the identity train faster (Goyal et al. 2017, section 5.1; BigNAS, Yu et al. 2020).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
            nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, InvertedResidual) and module.residual:
            nn.init.zeros_(module.norm.weight)
