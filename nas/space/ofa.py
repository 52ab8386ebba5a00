"""Search space of Once-for-All: stages with elastic depth, kernel size and expansion, elastic resolution and width."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.space.base import SearchSpace, check_keys, choice_index
from nas.types import Architecture, Genomes, PositiveFloat, PositiveInt

N_STAGES = 5
DEPTHS = (2, 3, 4)
KERNEL_SIZES = (3, 5, 7)
EXPAND_RATIOS = (3, 4, 6)
"""Choices that the published weights were trained for."""

KEYS = ("ks", "e", "d", "r", "w")


@final
class OfaSpace(SearchSpace):
    """Search space of Once-for-All's networks (Cai et al. 2020), encoded as in NSGANetV2 (Lu et al. 2020, section 3.1).

    A gene is the index of a choice. Each stage has a gene for its depth, then one for the kernel size of each layer,
    then one for the expansion of each layer. The resolution follows, then the width if there are several. Five stages
    of up to four layers and one width need 46 genes. Genes of layers beyond a stage's depth are not expressed.

    ``Architecture.config`` has the keys ``ks`` and ``e`` (one value for each present layer), ``d`` (one value for each
    stage), ``r`` and ``w``.

    Example:
        >>> space = OfaSpace(n_stages=2, depths=(1, 2), kernel_sizes=(3, 5), expand_ratios=(4, 6), resolutions=(32,),
        ...                  widths=(1.0,))
        >>> space.n_genes, space.size()
        (11, 400)
        >>> space.decode(space.smallest).config
        {'ks': [3, 3], 'e': [4, 4], 'd': [1, 1], 'r': 32, 'w': 1.0}
    """

    def __init__(
        self,
        *,
        n_stages: PositiveInt,
        depths: tuple[PositiveInt, ...],
        kernel_sizes: tuple[PositiveInt, ...],
        expand_ratios: tuple[PositiveFloat, ...],
        resolutions: tuple[PositiveInt, ...],
        widths: tuple[PositiveFloat, ...],
    ) -> None:
        """Build the space from its choices.

        Args:
            n_stages: Number of stages.
            depths: Choices of the number of layers in a stage, ascending.
            kernel_sizes: Choices of the kernel size of the depthwise convolutions, ascending.
            expand_ratios: Choices of the expansion ratio (hidden over input channels) of a layer, ascending.
            resolutions: Choices of the input resolution (side of the square image) in pixels, ascending.
            widths: Choices of the width multiplier of all channels, ascending.

        Raises:
            UserError: If a setting has no choices or they do not ascend.
        """
        named: dict[str, Sequence[float]] = {
            "depths": depths,
            "kernel_sizes": kernel_sizes,
            "expand_ratios": expand_ratios,
            "resolutions": resolutions,
            "widths": widths,
        }
        for name, choices in named.items():
            if len(choices) == 0 or sorted(set(choices)) != list(choices):
                raise UserError(
                    f"{name} must be different numbers in ascending order, got {', '.join(map(str, choices))}"
                )
        self.n_stages = n_stages
        self.depths = tuple(depths)
        self.kernel_sizes = tuple(kernel_sizes)
        self.expand_ratios = tuple(expand_ratios)
        self.resolutions = tuple(resolutions)
        self.widths = tuple(widths)
        self.max_depth = max(depths)
        self._set_genes()

    def _set_genes(self) -> None:
        layers = range(self.max_depth)
        genes: list[tuple[str, Sequence[float]]] = []
        for stage in range(self.n_stages):
            genes.append((f"stage{stage}.depth", self.depths))
            genes += [(f"stage{stage}.layer{i}.kernel_size", self.kernel_sizes) for i in layers]
            genes += [(f"stage{stage}.layer{i}.expand_ratio", self.expand_ratios) for i in layers]
        genes.append(("resolution", self.resolutions))
        if len(self.widths) > 1:
            genes.append(("width", self.widths))
        self.names = tuple(name for name, _ in genes)
        self._choices = tuple(choices for _, choices in genes)
        self.upper = np.array([len(choices) - 1 for choices in self._choices], dtype=np.int64)
        self.lower = np.zeros_like(self.upper)

    def depth_gene(self, stage: int) -> int:
        """Return the index of the gene of a stage's depth."""
        return stage * (1 + 2 * self.max_depth)

    def kernel_gene(self, stage: int, layer: int) -> int:
        """Return the index of the gene of a layer's kernel size."""
        return self.depth_gene(stage) + 1 + layer

    def expand_gene(self, stage: int, layer: int) -> int:
        """Return the index of the gene of a layer's expansion."""
        return self.kernel_gene(stage, layer) + self.max_depth

    @property
    def resolution_gene(self) -> int:
        """The index of the gene of the resolution."""
        return self.depth_gene(self.n_stages)

    @property
    def width_gene(self) -> int | None:
        """The index of the gene of the width; ``None`` if there is only one width."""
        return self.resolution_gene + 1 if len(self.widths) > 1 else None

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes."""
        return f"{self._choices[gene][value]:g}"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, shape (n, d), with the genes of absent layers set to 0."""
        self.validate(genomes)
        result = np.array(genomes, dtype=np.int64)
        stages = result[:, : self.resolution_gene].reshape(len(result), self.n_stages, 1 + 2 * self.max_depth)
        absent = np.arange(self.max_depth) >= np.array(self.depths)[stages[:, :, :1]]
        stages[:, :, 1:] *= ~np.concatenate([absent, absent], axis=2)
        return result

    def expressed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return whether each gene is expressed, (n, d) -> (n, d); genes of absent layers are not."""
        raised = np.tile(self.upper, (len(genomes), 1))
        depths = [self.depth_gene(stage) for stage in range(self.n_stages)]
        raised[:, depths] = genomes[:, depths]
        result = self.canonical(raised) > self.lower
        result[:, depths] = self.upper[depths] > self.lower[depths]
        return result

    def size(self) -> int:
        """Return the number of architectures."""
        layers = len(self.kernel_sizes) * len(self.expand_ratios)
        stages: int = sum(layers**depth for depth in self.depths) ** self.n_stages
        return stages * len(self.resolutions) * len(self.widths)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,), canonical or not."""
        genes: list[int] = self.canonical(np.asarray(genome)[None])[0].tolist()
        depths = [self.depths[genes[self.depth_gene(s)]] for s in range(self.n_stages)]
        layers = [(s, i) for s, depth in enumerate(depths) for i in range(depth)]
        width = 0 if self.width_gene is None else genes[self.width_gene]
        config = {
            "ks": [self.kernel_sizes[genes[self.kernel_gene(s, i)]] for s, i in layers],
            "e": [self.expand_ratios[genes[self.expand_gene(s, i)]] for s, i in layers],
            "d": depths,
            "r": self.resolutions[genes[self.resolution_gene]],
            "w": self.widths[width],
        }
        return Architecture(genome=tuple(genes), config=config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,); ``w`` may be absent if there is only one width.

        Raises:
            UserError: If the architecture is not in this space; the message names the key and the choices.
        """
        values = {"w": self.widths[0], **config} if self.width_gene is None else dict(config)
        check_keys(values, KEYS)
        genome = np.zeros(self.n_genes, dtype=np.int64)
        depths = _sequence("d", values["d"], self.n_stages, "stages")
        for s, depth in enumerate(depths):
            genome[self.depth_gene(s)] = choice_index(f"d[{s}]", depth, self.depths)
        layers = [(s, i) for s, depth in enumerate(depths) for i in range(depth)]
        kernels = _sequence("ks", values["ks"], len(layers), "layers, the sum of d")
        expands = _sequence("e", values["e"], len(layers), "layers, the sum of d")
        for n, (s, i) in enumerate(layers):
            genome[self.kernel_gene(s, i)] = choice_index(f"ks[{n}]", kernels[n], self.kernel_sizes)
            genome[self.expand_gene(s, i)] = choice_index(f"e[{n}]", expands[n], self.expand_ratios)
        genome[self.resolution_gene] = choice_index("r", values["r"], self.resolutions)
        width = choice_index("w", values["w"], self.widths)
        if self.width_gene is not None:
            genome[self.width_gene] = width
        return genome


def _sequence(key: str, values: object, length: int, of: str) -> Sequence[Any]:
    if not isinstance(values, list | tuple):
        raise UserError(f"{key} is {values!r}; it must be a list of {length} numbers")
    if len(values) != length:
        raise UserError(f"{key} has {len(values)} numbers; there are {length} {of}")
    return values
