"""Search space of Once-for-All's ResNet-50: elastic stem, widths, depths, expansions and resolution."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace, check_keys, choice_index
from nas.types import Architecture, Genomes, PositiveInt

KEYS = ("d", "e", "w", "r")
BASE_DEPTHS = (2, 2, 4, 2)
"""Number of layers of each stage at depth 0."""

DEPTHS = (0, 1, 2)
"""Choices of the number of additional layers of a stage."""

STEM_DEPTHS = (0, 2)
"""Choices of the stem: without (0) or with (2) its second convolution, as OFA numbers them."""

EXPAND_RATIOS = (0.2, 0.25, 0.35)
"""Choices of the ratio of a layer's inner to output channels."""

WIDTHS = (0.65, 0.8, 1.0)
"""Choices of the width multiplier of the stem and of each stage."""

ABSENT = 0
"""Expansion in the configuration of a layer that is absent."""

N_STAGES = len(BASE_DEPTHS)
STAGE_SIZES = tuple(depth + max(DEPTHS) for depth in BASE_DEPTHS)
N_LAYERS = sum(STAGE_SIZES)


@final
class OfaResnet50Space(SearchSpace):
    """Search space of OFA's ResNet-50D (Cai et al. 2020, and the package ``ofa``).

    A gene is the index of a choice. The genes are: whether the stem has its second convolution; the depth of each of
    the four stages; the expansion of each of the up to 18 layers; the widths of the stem's inner convolutions, of its
    last convolution and of each stage; the resolution. Expansions of layers beyond a stage's depth are not expressed.

    ``Architecture.config`` has OFA's notation: ``d`` (stem, then stages), ``e`` (one value for each of the 18 layers, 0
    for absent ones), ``w`` (indices of widths: stem's inner and last convolution, then stages), and ``r``.

    Example:
        >>> space = OfaResnet50Space(resolutions=(192, 224))
        >>> space.n_genes, space.size()
        (30, 3278553062616)
        >>> space.decode(space.smallest).config["d"]
        [0, 0, 0, 0, 0]
    """

    def __init__(self, *, resolutions: tuple[PositiveInt, ...]) -> None:
        """Build the space.

        Args:
            resolutions: Choices of the input resolution (side of the square image) in pixels, ascending.

        Raises:
            UserError: If there are no resolutions, or they do not ascend.
        """
        if not resolutions or sorted(set(resolutions)) != list(resolutions):
            raise UserError(f"resolutions must be different numbers in ascending order, got {list(resolutions)}")
        self.resolutions = tuple(resolutions)
        genes: list[tuple[str, Sequence[float]]] = [("stem.depth", STEM_DEPTHS)]
        genes += [(f"stage{s}.depth", DEPTHS) for s in range(N_STAGES)]
        for stage, size in enumerate(STAGE_SIZES):
            genes += [(f"stage{stage}.layer{i}.expand_ratio", EXPAND_RATIOS) for i in range(size)]
        genes += [("stem.inner_width", WIDTHS), ("stem.width", WIDTHS)]
        genes += [(f"stage{stage}.width", WIDTHS) for stage in range(N_STAGES)]
        genes.append(("resolution", self.resolutions))
        self.names = tuple(name for name, _ in genes)
        self._choices = tuple(choices for _, choices in genes)
        self.upper = np.array([len(choices) - 1 for _, choices in genes], dtype=np.int64)
        self.lower = np.zeros_like(self.upper)
        starts = [sum(STAGE_SIZES[:stage]) for stage in range(N_STAGES)]
        self._place = np.array([(s, i) for s, size in enumerate(STAGE_SIZES) for i in range(size)])
        self._starts = starts

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes."""
        return f"{self._choices[gene][value]:g}"

    stem_gene = 0

    def depth_gene(self, stage: int) -> int:
        """Return the index of the gene of a stage's depth."""
        return 1 + stage

    def expand_gene(self, stage: int, layer: int) -> int:
        """Return the index of the gene of a layer's expansion."""
        return 1 + N_STAGES + self._starts[stage] + layer

    def width_gene(self, place: int) -> int:
        """Return the index of a width's gene.

        Place 0 is the stem's inner convolutions, 1 the stem's last convolution, 2 stage 0, and so on.
        """
        return 1 + N_STAGES + N_LAYERS + place

    @property
    def resolution_gene(self) -> int:
        """The index of the gene of the resolution."""
        return self.n_genes - 1

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, shape (n, d), with the genes of absent layers set to 0.

        The two widths that give the stem's inner convolutions equally many channels are both set to 0.
        """
        self.validate(genomes)
        result = np.array(genomes, dtype=np.int64)
        stage, layer = self._place.T
        depths = np.array(BASE_DEPTHS) + np.array(DEPTHS)[result[:, 1 : 1 + N_STAGES]]
        first = self.expand_gene(0, 0)
        result[:, first : first + N_LAYERS] *= layer < depths[:, stage]
        inner = self.width_gene(0)
        result[:, inner][result[:, inner] == 1] = 0  # both widths give the stem's inner convolutions 24 channels
        return result

    def size(self) -> int:
        """Return the number of architectures."""
        stages: int = prod(sum(len(EXPAND_RATIOS) ** (base + more) for more in DEPTHS) for base in BASE_DEPTHS)
        widths: int = (len(WIDTHS) - 1) * len(WIDTHS) ** (1 + N_STAGES)  # two of the stem's inner widths are equal
        return len(STEM_DEPTHS) * stages * widths * len(self.resolutions)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,), canonical or not."""
        genes: list[int] = self.canonical(np.asarray(genome)[None])[0].tolist()
        depths = [DEPTHS[genes[self.depth_gene(stage)]] for stage in range(N_STAGES)]
        present = self.present(depths)
        config = {
            "d": [STEM_DEPTHS[genes[self.stem_gene]], *depths],
            "e": [EXPAND_RATIOS[genes[self.expand_gene(0, n)]] if n in present else ABSENT for n in range(N_LAYERS)],
            "w": genes[self.width_gene(0) : self.resolution_gene],
            "r": self.resolutions[genes[self.resolution_gene]],
        }
        return Architecture(genome=tuple(genes), config=config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,); ``e`` may have all 18 layers or only the present ones.

        Raises:
            UserError: If the architecture is not in this space; the message names the key and the choices.
        """
        check_keys(config, KEYS)
        genome = np.zeros(self.n_genes, dtype=np.int64)
        depths = _sequence("d", config["d"], (1 + N_STAGES,))
        genome[self.stem_gene] = choice_index("d[0]", depths[0], STEM_DEPTHS)
        for stage, depth in enumerate(depths[1:]):
            genome[self.depth_gene(stage)] = choice_index(f"d[{stage + 1}]", depth, DEPTHS)
        present = self.present(depths[1:])
        expands = _sequence("e", config["e"], (N_LAYERS, len(present)))
        for i, layer in enumerate(present):
            n = layer if len(expands) == N_LAYERS else i
            genome[self.expand_gene(0, layer)] = choice_index(f"e[{n}]", expands[n], EXPAND_RATIOS)
        for place, width in enumerate(_sequence("w", config["w"], (2 + N_STAGES,))):
            genome[self.width_gene(place)] = choice_index(f"w[{place}]", width, range(len(WIDTHS)))
        genome[self.resolution_gene] = choice_index("r", config["r"], self.resolutions)
        canonical: Genomes = self.canonical(genome[None])[0]
        return canonical

    def present(self, depths: Sequence[int]) -> list[int]:
        """Return the indices, 0 to 17, of the layers that are present for these depths of the stages."""
        return [
            start + layer
            for start, base, depth in zip(self._starts, BASE_DEPTHS, depths, strict=True)
            for layer in range(base + depth)
        ]


def _sequence(key: str, values: object, lengths: tuple[int, ...]) -> Sequence[Any]:
    expected = " or ".join(map(str, sorted(set(lengths))))
    if not isinstance(values, list | tuple):
        raise UserError(f"{key} is {values!r}; it must be a list of {expected} numbers")
    if len(values) not in lengths:
        raise UserError(f"{key} has {len(values)} numbers; it must have {expected}")
    return values
