"""Search space of AttentiveNAS: stages with elastic width, depth, kernel size and expansion, elastic resolution."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace, check_keys, choice_index
from nas.types import Architecture, Genomes, PositiveInt

KEYS = ("r", "w", "d", "ks", "e")


@final
class AttentiveNasSpace(SearchSpace):
    """Search space of AttentiveNAS (Wang et al. 2021, table 1) and AlphaNet.

    A gene is the index of a choice. The genes are: the resolution; the widths of the first convolution, of each stage
    and of the last convolution; the depth of each stage; the kernel size of each stage; the expansion of each stage.
    Seven stages need 31 genes. All layers of a stage share its choices and every stage has at least one layer, so every
    gene is expressed. A gene with a single choice is always 0.

    ``Architecture.config`` has the keys ``r`` (a number), ``w`` (nine numbers of channels), ``d``, ``ks`` and ``e``
    (seven numbers each).

    Example:
        >>> space = AttentiveNasSpace(resolutions=(192, 224), widths=((16,), (16, 24), (1792,)), depths=((1, 2),),
        ...                           kernel_sizes=((3, 5),), expand_ratios=((1,),))
        >>> space.decode(space.largest).config
        {'r': 224, 'w': [16, 24, 1792], 'd': [2], 'ks': [5], 'e': [1]}
    """

    def __init__(
        self,
        *,
        resolutions: tuple[PositiveInt, ...],
        widths: tuple[tuple[PositiveInt, ...], ...],
        depths: tuple[tuple[PositiveInt, ...], ...],
        kernel_sizes: tuple[tuple[PositiveInt, ...], ...],
        expand_ratios: tuple[tuple[PositiveInt, ...], ...],
    ) -> None:
        """Build the space from its choices.

        Args:
            resolutions: Choices of the input resolution (side of the square image) in pixels, ascending.
            widths: Choices of the number of channels after the first convolution, after each stage, and after the last
                convolution, each ascending.
            depths: Choices of the number of layers of each stage, each ascending.
            kernel_sizes: Choices of the kernel size of the depthwise convolutions of each stage, each ascending.
            expand_ratios: Choices of the expansion ratio (hidden over input channels) of each stage, each ascending.

        Raises:
            UserError: If a gene has no choices, choices do not ascend, or a setting lacks a list for a stage.
        """
        n_stages = len(depths)
        for name, given, expected in (
            ("widths", widths, n_stages + 2),
            ("kernel_sizes", kernel_sizes, n_stages),
            ("expand_ratios", expand_ratios, n_stages),
        ):
            if len(given) != expected:
                raise UserError(f"{name} has {len(given)} lists; with depths for {n_stages} stages it needs {expected}")
        places = ("first", *(f"stage{stage}" for stage in range(n_stages)), "last")
        genes = [("resolution", "resolutions", resolutions)]
        genes += [(f"{place}.width", f"widths[{i}]", widths[i]) for i, place in enumerate(places)]
        for gene, name, lists in (
            ("depth", "depths", depths),
            ("kernel_size", "kernel_sizes", kernel_sizes),
            ("expand_ratio", "expand_ratios", expand_ratios),
        ):
            genes += [(f"stage{stage}.{gene}", f"{name}[{stage}]", choices) for stage, choices in enumerate(lists)]
        for _, name, choices in genes:
            if len(choices) == 0 or sorted(set(choices)) != list(choices):
                raise UserError(
                    f"{name} must be different numbers in ascending order, got {', '.join(map(str, choices))}"
                )
        self.n_stages = n_stages
        self.names = tuple(gene for gene, _, _ in genes)
        self.choices = tuple(tuple(choices) for _, _, choices in genes)
        self.upper = np.array([len(choices) - 1 for choices in self.choices], dtype=np.int64)
        self.lower = np.zeros_like(self.upper)

    @property
    def resolution_gene(self) -> int:
        """The index of the gene of the resolution."""
        return 0

    def width_gene(self, place: int) -> int:
        """Return the index of a width's gene; place 0 is the first convolution, stages and last convolution follow."""
        return 1 + place

    def depth_gene(self, stage: int) -> int:
        """Return the index of the gene of a stage's depth."""
        return self.n_stages + 3 + stage

    def kernel_gene(self, stage: int) -> int:
        """Return the index of the gene of a stage's kernel size."""
        return self.depth_gene(stage) + self.n_stages

    def expand_gene(self, stage: int) -> int:
        """Return the index of the gene of a stage's expansion."""
        return self.kernel_gene(stage) + self.n_stages

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes."""
        return f"{self.choices[gene][value]:g}"

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return a copy of the genomes, shape (n, d); all genes are expressed."""
        self.validate(genomes)
        return np.array(genomes, dtype=np.int64)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,)."""
        genes: list[int] = self.canonical(np.asarray(genome)[None])[0].tolist()
        values = [choices[gene] for choices, gene in zip(self.choices, genes, strict=True)]
        config: dict[str, Any] = {"r": values[self.resolution_gene]}
        config |= {key: values[first : first + length] for key, (first, length) in self._lists().items()}
        return Architecture(genome=tuple(genes), config=config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the genome, shape (d,), of an architecture's configuration.

        Raises:
            UserError: If the architecture is not in this space; the message names the key and the choices.
        """
        check_keys(config, KEYS)
        genome = np.zeros(self.n_genes, dtype=np.int64)
        genome[self.resolution_gene] = choice_index("r", config["r"], self.choices[self.resolution_gene])
        for key, (first, length) in self._lists().items():
            values = config[key]
            if not isinstance(values, list | tuple) or len(values) != length:
                given = f"has {len(values)}" if isinstance(values, list | tuple) else f"is {values!r}"
                raise UserError(f"{key} {given}; it must be a list of {length} numbers")
            for i, value in enumerate(values):
                genome[first + i] = choice_index(f"{key}[{i}]", value, self.choices[first + i])
        return genome

    def _lists(self) -> dict[str, tuple[int, int]]:
        """Return the first gene and the number of genes of each key whose value is a list."""
        return {
            "w": (self.width_gene(0), self.n_stages + 2),
            "d": (self.depth_gene(0), self.n_stages),
            "ks": (self.kernel_gene(0), self.n_stages),
            "e": (self.expand_gene(0), self.n_stages),
        }
