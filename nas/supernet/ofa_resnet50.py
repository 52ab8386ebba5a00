"""``supernet=ofa_resnet50``: Once-for-All's ResNet-50."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack, final

from ofa.imagenet_classification.elastic_nn.networks import OFAResNets
from ofa.imagenet_classification.networks import ResNets
from ofa.utils import MyNetwork
from ofa.utils.layers import IdentityLayer
from torch import Tensor, nn

from nas.space.ofa_resnet50 import (
    BASE_DEPTHS,
    DEPTHS,
    EXPAND_RATIOS,
    N_STAGES,
    STAGE_SIZES,
    STEM_DEPTHS,
    WIDTHS,
    OfaResnet50Space,
)
from nas.space.table import AdditiveTable, Axis, Choice, CostTable, term
from nas.supernet.base import PublishedOptions, Supernet
from nas.supernet.checkpoint import Published
from nas.supernet.layout import Conv, make_divisible
from nas.supernet.ofa import fill, fingerprint, first_weights, load, static
from nas.supernet.ofa_mobile import MEASURES, Measure
from nas.supernet.ofa_modules import regularize
from nas.types import Architecture

PUBLISHED = Published(
    name="ofa_resnet50_d0-1-2_e0.2-0.25-0.35_w0.65-0.8-1.0",
    url="https://drive.google.com/uc?id=1xy6VIPEHXqbbqNu3xEZUxhp5FbTVs5cQ",
    sha256=None,
)
CHOICES = {"depth_list": list(DEPTHS), "expand_ratio_list": list(EXPAND_RATIOS), "width_mult_list": list(WIDTHS)}
IMAGE_CHANNELS = 3


@final
class OfaResnet50(Supernet):
    """OFA ResNet-50D (Cai et al. 2020, and the package ``ofa``).

    Stem, depth, expansion, width and resolution are elastic. ``module`` is the package's ``OFAResNets``; extracted
    networks are its ``ResNets``.

    Example:
        >>> from pathlib import Path
        >>> supernet = OfaResnet50(
        ...     checkpoint="random", n_classes=10, cache=Path("cache"), resolutions=(192, 224),
        ...     dropout=0.0, drop_path=0.0, gradient_checkpointing=False, seed=0,
        ... )
        >>> supernet.space.n_genes, supernet.space.names[:2]
        (30, ('stem.depth', 'stage0.depth'))
    """

    space: OfaResnet50Space

    def __init__(self, *, checkpoint: str | None = None, **options: Unpack[PublishedOptions]) -> None:
        """Build the network and load its weights.

        Args:
            checkpoint: Path of the weights; ``"random"`` for random weights; ``None`` for the published ones.
            options: See :class:`nas.supernet.base.PublishedOptions`.

        Raises:
            UserError: If the checkpoint does not fit.
        """
        self.space = OfaResnet50Space(resolutions=options["resolutions"])
        self._n_classes = options["n_classes"]
        build = partial(OFAResNets, n_classes=self._n_classes, dropout_rate=options["dropout"], **CHOICES)
        network = first_weights(build, options["seed"])
        weights = load(network, checkpoint, PUBLISHED, options["cache"])
        self.checkpoints = (weights,)
        self.fingerprint = fingerprint("ofa_resnet50", {**options, "checkpoint": checkpoint}, [weights])
        self._drop_path = options["drop_path"]
        self._gradient_checkpointing = options["gradient_checkpointing"]
        self._network: Any = network
        self.module: nn.Module = network
        self._regularize(network, range(len(network.blocks)))

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture with the shared weights, (n, 3, r, r) -> (n, classes)."""
        self._activate(architecture)
        logits: Tensor = self._network(images)
        return logits

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        self._activate(architecture)
        present = self.space.present(architecture.config["d"][1:])
        config = self._network.get_active_net_config()
        stem = [0, 2] if self._network.input_stem_skipping else [0, 1, 2]
        if 1 in stem:  # the package stores a module here, but its constructor expects a description
            config["input_stem"][1]["shortcut"] = config["input_stem"][1]["shortcut"].config
        subnet = static(ResNets.build_from_config, config)
        fill(subnet, self._network, {"blocks": present, "input_stem": stem})
        self._regularize(subnet, present)
        network: nn.Module = subnet.eval()
        return network

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the exact tables ``"macs"`` and ``"params"``, computed from the layer sizes."""
        return {str(measure): self._table(measure) for measure in MEASURES}

    def _activate(self, architecture: Architecture) -> None:
        config = architecture.config
        self._network.set_active_subnet(d=list(config["d"]), e=list(config["e"]), w=list(config["w"]))

    def _regularize(self, network: Any, indices: Sequence[int]) -> None:
        n = len(self._network.blocks)
        blocks = (
            (index / n, block, block.conv3 if isinstance(block.downsample, IdentityLayer) else None)
            for index, block in zip(indices, network.blocks, strict=True)
        )
        regularize(blocks, self._drop_path, self._gradient_checkpointing)

    def _table(self, measure: Measure) -> AdditiveTable:
        """Build a table with one term for the stem, one for each layer, and one for the classifier."""
        space = self.space
        side: Axis = (space.resolution_gene, space.resolutions) if measure == "macs" else (None, space.resolutions[:1])
        width: list[Axis] = [(space.width_gene(place), range(len(WIDTHS))) for place in range(2 + N_STAGES)]
        stem: Axis = (space.stem_gene, STEM_DEPTHS)
        terms = [term([stem, width[0], width[1], side], partial(_stem_cost, measure))]
        names = ["stem"]
        for stage, size in enumerate(STAGE_SIZES):
            for layer in range(size):
                depth: Axis = (space.depth_gene(stage), DEPTHS)
                expand: Axis = (space.expand_gene(stage, layer), EXPAND_RATIOS)
                before = [width[1 + stage]] if layer == 0 else []
                axes = [depth, expand, side, width[2 + stage], *before]
                terms.append(term(axes, partial(_layer_cost, measure, stage, layer)))
                names.append(f"stage{stage + 1}.layer{layer + 1}")
        classifier = term([width[-1]], lambda choice: _cost(measure, self._classifier(*choice), 1))
        return AdditiveTable(space.n_genes, [*terms, classifier], [*names, "classifier"])

    def _classifier(self, width: int) -> Conv:
        return Conv(_width(N_STAGES - 1, width), self._n_classes, norm=False)


def _divisible(channels: float) -> int:
    return make_divisible(channels, MyNetwork.CHANNEL_DIVISIBLE)


def _width(stage: int, width: int) -> int:
    """Return the channels of a stage for the index of its width; the stem is stage -1."""
    return _divisible((64, *ResNets.STAGE_WIDTH_LIST)[stage + 1] * WIDTHS[width])


def _cost(measure: Measure, conv: Conv, side: int) -> int:
    return conv.macs(side) if measure == "macs" else conv.params


def _half(side: int) -> int:
    return (side - 1) // 2 + 1


def _stem_cost(measure: Measure, choice: Choice) -> int:
    depth, inner, outer, resolution = choice
    channels = _divisible(_width(-1, inner) // 2)
    after = _half(resolution)
    cost = _cost(measure, Conv(IMAGE_CHANNELS, channels, norm=True, kernel=3, stride=2), resolution)
    if depth == max(STEM_DEPTHS):
        cost += _cost(measure, Conv(channels, channels, norm=True, kernel=3), after)
    return cost + _cost(measure, Conv(channels, _width(-1, outer), norm=True, kernel=3), after)


def _layer_cost(measure: Measure, stage: int, layer: int, choice: Choice) -> int:
    """Return the cost of a bottleneck; in the first layer of a stage, ``choice`` ends with the preceding width."""
    depth, expand, resolution, width, *before = choice
    if layer >= BASE_DEPTHS[stage] + depth:
        return 0
    outputs = _width(stage, width)
    inputs = _width(stage - 1, *before) if before else outputs
    inner = _divisible(round(outputs * expand))
    stride = 2 if before and stage > 0 else 1
    side = _half(_half(resolution))  # the stem and its pooling halve the side
    for _ in range(stage if layer else stage - 1):
        side = _half(side)
    convs = [
        (Conv(inputs, inner, norm=True), side),
        (Conv(inner, inner, norm=True, kernel=3, stride=stride), side),
        (Conv(inner, outputs, norm=True), -(-side // stride)),
    ]
    if before:  # the shortcut is pooled, then convolved
        convs.append((Conv(inputs, outputs, norm=True), -(-side // stride)))
    return sum(_cost(measure, conv, at) for conv, at in convs)
