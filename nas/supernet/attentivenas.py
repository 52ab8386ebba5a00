"""``supernet=attentivenas`` and ``supernet=alphanet``: one supernet with weights published by both papers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Literal, Unpack, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.files import file_digest
from nas.seeding import rng_for
from nas.space.attentivenas import AttentiveNasSpace
from nas.space.table import AdditiveTable
from nas.supernet.attentivenas_layout import AttentiveNasLayout, Bottleneck, Design, Head
from nas.supernet.attentivenas_network import AttentiveNetwork, Norm
from nas.supernet.base import VERSION, PublishedOptions
from nas.supernet.checkpoint import RANDOM, Published, load_into, locate, read_state_dict
from nas.supernet.elastic import ElasticSupernet, bind, check_stages, on_cpu
from nas.supernet.layout import Conv
from nas.types import Architecture, PositiveInt

PUBLISHED = {
    "attentivenas": Published(
        name="attentive_nas_pretrained.pth.tar",
        url="https://drive.google.com/uc?id=1cCla-OQNIAn-rjsY2b832DuP59ZKr8uh",
        sha256=None,
    ),
    "alphanet": Published(
        name="alphanet_pretrained.pth.tar",
        url="https://drive.google.com/uc?id=1CyZoPyiCoGJ0qv8bqi7s7TQRUum_8FeG",
        sha256=None,
    ),
}
CLASSIFIER = ("classifier.linear.linear.weight", "classifier.linear.linear.bias")
DROP_PATH_STAGES = 2  # number of last stages with drop path, as in the published training
SHARED_MOMENTUM = 0.0  # shared batch norm statistics fit no architecture; the published training does not update them

_DECISIVE = (
    *("n_classes", "checkpoint", "resolutions", "widths", "depths", "kernel_sizes", "expand_ratios", "stem_stride"),
    *("strides", "squeeze_excite", "dropout", "drop_path", "gradient_checkpointing", "seed"),
)
"""Settings that enter the fingerprint, in this order."""

Term = tuple[list[int], npt.NDArray[np.int64]]


@final
class AttentiveNas(ElasticSupernet):
    """Supernet of AttentiveNAS and AlphaNet, with elastic width, depth, kernel size, expansion and resolution.

    Published weights were trained by attentive sampling (AttentiveNAS, Wang et al. 2021, CVPR) or with the
    alpha-divergence (AlphaNet, Wang et al. 2021, ICML). A smaller layer uses the first channels and the center of the
    kernels of the largest one. With the published choices and 1000 classes, ``module.state_dict()`` has the keys and
    shapes of the published files.

    Example:
        >>> from pathlib import Path
        >>> supernet = AttentiveNas(
        ...     weights="alphanet", checkpoint="random", widths=((8,), (8, 16), (32,)), depths=((1, 2),),
        ...     kernel_sizes=((3, 5),), expand_ratios=((1, 4),), stem_stride=2, strides=(1,), squeeze_excite=(True,),
        ...     n_classes=10, cache=Path("cache"), resolutions=(16, 24), dropout=0.0, drop_path=0.0,
        ...     gradient_checkpointing=False, seed=0,
        ... )
        >>> supernet.space.size()
        32
        >>> subnet = supernet.extract(supernet.space.decode(supernet.space.smallest))
        >>> subnet(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2, 10])
    """

    space: AttentiveNasSpace

    def __init__(
        self,
        *,
        weights: Literal["attentivenas", "alphanet"],
        checkpoint: str | None,
        widths: tuple[tuple[PositiveInt, ...], ...],
        depths: tuple[tuple[PositiveInt, ...], ...],
        kernel_sizes: tuple[tuple[PositiveInt, ...], ...],
        expand_ratios: tuple[tuple[PositiveInt, ...], ...],
        stem_stride: Literal[1, 2],
        strides: tuple[Literal[1, 2], ...],
        squeeze_excite: tuple[bool, ...],
        **options: Unpack[PublishedOptions],
    ) -> None:
        """Build the network and load its weights.

        Args:
            weights: Published weights to load if ``checkpoint`` is ``None``: ``"attentivenas"`` or ``"alphanet"``.
            checkpoint: Path of the weights; ``"random"`` for random weights; ``None`` for the published ones.
            widths: Choices of the number of channels after the first convolution, after each stage, and after the last
                convolution, each ascending.
            depths: Choices of the number of layers of each stage, each ascending.
            kernel_sizes: Choices of the kernel size of the depthwise convolutions of each stage, odd, each ascending.
            expand_ratios: Choices of the expansion ratio (hidden over input channels) of each stage, each ascending.
            stem_stride: Stride of the first convolution, 1 or 2.
            strides: Stride of the first layer of each stage, 1 or 2.
            squeeze_excite: Whether the layers of each stage have squeeze-excite.
            options: See :class:`nas.supernet.base.PublishedOptions`; no layer is dropped before the last two stages.

        Raises:
            UserError: If choices do not ascend, a kernel size is even, a setting lacks a value for a stage, or the
                checkpoint does not fit the network.
        """
        settings = {**locals(), **options}
        check_stages("depths", depths, {"strides": strides, "squeeze_excite": squeeze_excite})
        if any(kernel % 2 == 0 for choices in kernel_sizes for kernel in choices):
            raise UserError(f"kernel_sizes must be odd, got {[list(choices) for choices in kernel_sizes]}")
        self.space = AttentiveNasSpace(
            resolutions=options["resolutions"],
            widths=widths,
            depths=depths,
            kernel_sizes=kernel_sizes,
            expand_ratios=expand_ratios,
        )
        self._design = Design(
            stem_stride=stem_stride,
            strides=tuple(strides),
            squeeze_excite=tuple(squeeze_excite),
            n_classes=options["n_classes"],
        )
        self._dropout = options["dropout"]
        self._drop_path = options["drop_path"]
        self._gradient_checkpointing = options["gradient_checkpointing"]
        self._positions = np.cumsum([0, *(max(choices) for choices in depths)]).tolist()
        self.module = self._largest(options["seed"])
        path = locate(checkpoint, PUBLISHED[weights], options["cache"])
        if path is not None:
            load_into(self.module, read_state_dict(path), head=CLASSIFIER, path=path)
        self.checkpoints = (RANDOM if path is None else file_digest(path),)
        self.fingerprint = _fingerprint(settings if path is None else settings | {"checkpoint": self.checkpoints[0]})

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture with the shared weights, (n, 3, r, r) -> (n, classes).

        The shared batch norm statistics are used in eval mode and never change.
        """
        subnet = self._on_meta(architecture).train(self.module.training)
        for module in subnet.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = SHARED_MOMENTUM
        bind(subnet, self.module)
        logits: Tensor = subnet(images)
        return logits

    def _table(self, cost: Callable[[Conv | Bottleneck | Head, int], int]) -> AdditiveTable:
        """Build a table with one term for the stem, one for each layer, and one for the head.

        ``cost`` maps a part of the network and the side of its input to the part's cost.
        """
        space, design, last = self.space, self._design, self.space.n_stages

        def one(s: int, layer: int, r: int, choices: Sequence[int]) -> int:
            before, width, depth, kernel, expand = choices if layer == 0 else (choices[0], *choices)
            block = design.block(s, layer, inputs=before, outputs=width, kernel=kernel, expand_ratio=expand)
            return cost(block, design.side(r, s, layer)) if layer < depth else 0

        terms = {"stem": self._term([space.width_gene(0)], lambda r, choices: cost(design.stem(choices[0]), r))}
        for s in range(last):
            genes = [space.width_gene(s + 1), space.depth_gene(s), space.kernel_gene(s), space.expand_gene(s)]
            for layer in range(max(space.choices[space.depth_gene(s)])):
                before = [space.width_gene(s)] if layer == 0 else []
                terms[f"stage{s + 1}.layer{layer + 1}"] = self._term([*before, *genes], partial(one, s, layer))
        genes = [space.width_gene(last), space.width_gene(last + 1)]
        terms["head"] = self._term(genes, lambda r, choices: cost(design.head(*choices), design.side(r, last, 0)))
        return AdditiveTable(space.n_genes, list(terms.values()), list(terms))

    def _term(self, genes: list[int], cost: Callable[[int, Sequence[int]], int]) -> Term:
        """Return a term with its values for all choices of the resolution and of these genes."""
        genes = [self.space.resolution_gene, *genes]
        choices = [self.space.choices[gene] for gene in genes]
        values = np.array([cost(r, chosen) for r, *chosen in product(*choices)], dtype=np.int64)
        return genes, values.reshape([len(each) for each in choices])

    def _layout(self, architecture: Architecture) -> AttentiveNasLayout:
        config, design = architecture.config, self._design
        widths, blocks = config["w"], {}
        for s, (depth, kernel, expand) in enumerate(zip(config["d"], config["ks"], config["e"], strict=True)):
            for layer in range(depth):
                blocks[self._positions[s] + layer] = design.block(
                    s,
                    layer,
                    inputs=widths[s + 1 if layer else s],
                    outputs=widths[s + 1],
                    kernel=kernel,
                    expand_ratio=expand,
                )
        start, end = self._positions[-1 - min(DROP_PATH_STAGES, self.space.n_stages)], self._positions[-1]
        return AttentiveNasLayout(
            stem=design.stem(widths[0]),
            blocks=blocks,
            drop_path={i: self._drop_path * i / end if i >= start else 0.0 for i in blocks},
            head=design.head(widths[-2], widths[-1]),
        )

    def _on_meta(self, architecture: Architecture) -> AttentiveNetwork:
        with torch.device("meta"):
            return AttentiveNetwork(self._layout(architecture), self._dropout, self._gradient_checkpointing)

    def _largest(self, seed: int) -> nn.Module:
        """Return the network of the largest architecture, with the tensors of published checkpoints, randomized."""
        network = self._on_meta(self.space.decode(self.space.largest))
        for module in list(network.modules()):
            if isinstance(module, Norm):
                module.add_tracking()
        on_cpu(network)
        _initialise(network, torch.Generator().manual_seed(int(rng_for(seed, 0, "weights").integers(2**63))))
        return network


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Initialize a network: He's normal weights, small ones for the classifier, batch norm as the identity.

    The last batch norm of a block does not start at zero: otherwise choices inside blocks would have no effect until
    the network is trained.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # resets the statistics too
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def _fingerprint(settings: Mapping[str, object]) -> str:
    """Return the SHA-256 digest of the settings that decide the network and its weights.

    ``settings`` name a checkpoint by the digest of its content, so that its path does not matter.
    """
    decisive = {name: settings[name] for name in _DECISIVE}
    return hashlib.sha256(json.dumps(["attentivenas", VERSION, decisive]).encode()).hexdigest()
