"""Base class for supernets of OFA's inverted residuals: MobileNetV3 and ProxylessNAS."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Literal

from ofa.imagenet_classification.networks import MobileNetV3, ProxylessNASNets
from ofa.utils import MyNetwork, SEModule
from torch import Tensor, nn

from nas.space.base import SearchSpace
from nas.space.ofa import DEPTHS, EXPAND_RATIOS, KERNEL_SIZES, N_STAGES, OfaSpace
from nas.space.table import AdditiveTable, Axis, Choice, CostTable, term
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import Published
from nas.supernet.layout import Block, make_divisible
from nas.supernet.ofa import fill, fingerprint, first_weights, load, static
from nas.supernet.ofa_modules import regularize
from nas.types import Architecture

CHOICES = {"depth_list": list(DEPTHS), "ks_list": list(KERNEL_SIZES), "expand_ratio_list": list(EXPAND_RATIOS)}
"""Choices that the published weights were trained for, as arguments of the constructors in ``ofa``."""


Measure = Literal["macs", "params"]
MEASURES: tuple[Measure, ...] = ("macs", "params")


class MobileSubnets:
    """Subnets of one dynamic network of the package ``ofa``.

    Attributes:
        network: ``OFAMobileNetV3`` or ``OFAProxylessNASNets``, with the package's names in its state dict.
    """

    def __init__(self, network: Any, drop_path: float, gradient_checkpointing: bool) -> None:
        """Prepare the network for fine-tuning, in place; see :func:`nas.supernet.ofa_modules.regularize`."""
        self.network = network
        self._drop_path = drop_path
        self._gradient_checkpointing = gradient_checkpointing
        self._regularize(network, range(len(network.blocks)))

    def forward(self, images: Tensor, config: Mapping[str, Any]) -> Tensor:
        """Run an architecture with the shared weights, (n, 3, r, r) -> (n, classes)."""
        self._activate(config)
        logits: Tensor = self.network(images)
        return logits

    def extract(self, config: Mapping[str, Any]) -> nn.Module:
        """Return a static network of the package, in eval mode, with copies of the architecture's weights."""
        present = self._activate(config)
        kind = MobileNetV3 if hasattr(self.network, "final_expand_layer") else ProxylessNASNets
        subnet = static(kind.build_from_config, self.network.get_active_net_config())
        fill(subnet, self.network, {"blocks": present})
        self._regularize(subnet, present)
        network: nn.Module = subnet.eval()
        return network

    def _activate(self, config: Mapping[str, Any]) -> list[int]:
        """Activate an architecture and return the indices of its blocks in the whole network."""
        stages = self.network.block_group_info
        present = [index for stage, depth in zip(stages, config["d"], strict=True) for index in stage[:depth]]
        kernels: list[int | None] = [None] * sum(map(len, stages))
        expands = kernels.copy()
        for index, kernel, expand in zip(present, config["ks"], config["e"], strict=True):
            kernels[index - 1], expands[index - 1] = kernel, expand
        self.network.set_active_subnet(ks=kernels, e=expands, d=list(config["d"]))
        return [0, *present]

    def _regularize(self, network: Any, indices: Sequence[int]) -> None:
        n = len(self.network.blocks)
        blocks = (
            (index / n, block, None if block.shortcut is None else block.conv.point_linear)
            for index, block in zip(indices, network.blocks, strict=True)
        )
        regularize(blocks, self._drop_path, self._gradient_checkpointing)

    def layer(self, stage: int, layer: int, kernel: int, expand: int) -> Block:
        """Return the description of a layer; stages and layers are counted from 0."""
        conv = self.network.blocks[self.network.block_group_info[stage][layer]].conv
        hidden = make_divisible(round(conv.in_channels * expand), MyNetwork.CHANNEL_DIVISIBLE)
        squeeze = make_divisible(hidden // SEModule.REDUCTION, MyNetwork.CHANNEL_DIVISIBLE)
        return Block(
            inputs=conv.in_channels,
            hidden=hidden,
            outputs=conv.out_channels,
            kernel=kernel,
            stride=conv.stride,
            squeeze=squeeze if conv.use_se else 0,
            hard_swish=conv.act_func == "h_swish",
        )

    def side(self, resolution: int, stage: int, layer: int) -> int:
        """Return the side of a layer's input in pixels; the stage after the last one stands for the features."""
        side = _after(resolution, self.network.first_conv.stride)
        for earlier in self.network.block_group_info[: stage + (layer > 0)]:
            side = _after(side, self.network.blocks[earlier[0]].conv.stride)
        return side

    def ends_macs(self, resolution: int) -> int:
        """Return the multiply-adds of the parts of every architecture: stem, first block, features, classifier."""
        network = self.network
        first = self.side(resolution, 0, 0)
        last = self.side(resolution, len(network.block_group_info), 0)
        macs: int = (_weights(network.first_conv) + _weights(network.blocks[0])) * first**2
        if hasattr(network, "final_expand_layer"):  # MobileNetV3 pools before the features, ProxylessNAS after them
            macs += _weights(network.final_expand_layer) * last**2 + _weights(network.feature_mix_layer)
        else:
            macs += _weights(network.feature_mix_layer) * last**2
        return macs + _weights(network.classifier)

    def ends_params(self) -> int:
        """Return the number of parameters of the parts that all architectures share."""
        elastic: int = sum(p.numel() for block in self.network.blocks[1:] for p in block.parameters())
        whole: int = sum(p.numel() for p in self.network.parameters())
        return whole - elastic


class MobileSupernet(Supernet):
    """Supernet of one or several networks of the package ``ofa``, which share no weights.

    ``module`` is the network, or a list of them.
    """

    space: SearchSpace

    def _take(
        self,
        kind: str,
        builds: Sequence[Callable[..., Any]],
        checkpoints: Sequence[str | None],
        published: Sequence[Published],
        settings: Mapping[str, Any],
    ) -> None:
        """Build the networks and load their weights.

        Args:
            kind: Name of the supernet in its fingerprint.
            builds: Constructor of each network.
            checkpoints: Checkpoint of each network: a path, ``"random"``, or ``None`` for the published weights.
            published: Published checkpoint of each network.
            settings: Settings of :class:`nas.supernet.base.PublishedOptions` and those of the supernet itself.

        Raises:
            UserError: If a checkpoint does not fit.
        """
        common = {"n_classes": settings["n_classes"], "dropout_rate": settings["dropout"], **CHOICES}
        networks = [first_weights(partial(build, **common), settings["seed"]) for build in builds]
        self.checkpoints = tuple(
            load(*each, settings["cache"]) for each in zip(networks, checkpoints, published, strict=True)
        )
        self.fingerprint = fingerprint(kind, settings, self.checkpoints)
        regular = settings["drop_path"], settings["gradient_checkpointing"]
        self._subnets = tuple(MobileSubnets(network, *regular) for network in networks)
        self.module = networks[0] if len(networks) == 1 else nn.ModuleList(networks).eval()

    def _of(self, architecture: Architecture) -> MobileSubnets:
        """Return the network to which an architecture belongs."""
        return self._subnets[0]

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture with the shared weights, (n, 3, r, r) -> (n, classes)."""
        return self._of(architecture).forward(images, architecture.config)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        return self._of(architecture).extract(architecture.config)

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the exact tables ``"macs"`` and ``"params"``, computed from the layer sizes."""
        assert isinstance(self.space, OfaSpace)
        return mobile_tables(self.space, self._subnets, self.space.n_genes, last=None)


def elastic_stages(resolutions: Sequence[int], widths: Sequence[float]) -> OfaSpace:
    """Return the search space of the stages that the published weights were trained for."""
    return OfaSpace(
        n_stages=N_STAGES,
        depths=DEPTHS,
        kernel_sizes=KERNEL_SIZES,
        expand_ratios=EXPAND_RATIOS,
        resolutions=tuple(resolutions),
        widths=tuple(widths),
    )


def mobile_tables(
    space: OfaSpace, subnets: Sequence[MobileSubnets], n_genes: int, last: tuple[Axis, Axis] | None
) -> Mapping[str, CostTable]:
    """Return the tables ``"macs"`` and ``"params"`` of networks of inverted residuals.

    Args:
        space: Search space of the stages with elastic depth; its genes come first in the genome.
        subnets: Subnets of each width.
        n_genes: Length of the genome.
        last: Kernel size and expansion of a layer after these stages; ``None`` if there is no such layer.
    """
    width: Axis = (space.width_gene, subnets)
    tables = {}
    for measure in MEASURES:
        # The number of parameters does not depend on the resolution.
        side: Axis = (space.resolution_gene, space.resolutions) if measure == "macs" else (None, space.resolutions[:1])
        terms = [term([side, width], partial(_ends, measure))]
        names = ["stem, features, classifier"]
        for stage, layer in product(range(space.n_stages), range(space.max_depth)):
            depth: Axis = (space.depth_gene(stage), space.depths)
            kernel: Axis = (space.kernel_gene(stage, layer), space.kernel_sizes)
            expand: Axis = (space.expand_gene(stage, layer), space.expand_ratios)
            terms.append(term([depth, kernel, expand, side, width], partial(_layer, measure, stage, layer)))
            names.append(f"stage{stage + 1}.layer{layer + 1}")
        if last is not None:
            terms.append(term([(None, (1,)), *last, side, width], partial(_layer, measure, space.n_stages, 0)))
            names.append(f"stage{space.n_stages + 1}.layer1")
        tables[str(measure)] = AdditiveTable(n_genes, terms, names)
    return tables


def _ends(measure: Measure, choice: Choice) -> int:
    resolution: int
    subnets: MobileSubnets
    resolution, subnets = choice
    return subnets.ends_macs(resolution) if measure == "macs" else subnets.ends_params()


def _layer(measure: Measure, stage: int, layer: int, choice: Choice) -> int:
    subnets: MobileSubnets
    depth, kernel, expand, resolution, subnets = choice
    if layer >= depth:
        return 0
    block = subnets.layer(stage, layer, kernel, expand)
    return block.macs(subnets.side(resolution, stage, layer)) if measure == "macs" else block.params


def _after(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


def _weights(part: nn.Module) -> int:
    """Return the number of weights in the convolutions and linear layers of a part."""
    return sum(m.weight.numel() for m in part.modules() if isinstance(m, nn.Conv2d | nn.Linear))
