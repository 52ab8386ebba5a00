"""Search space of OFA's ProxylessNAS: elastic stages and one layer after them."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.space.base import SearchSpace, choice_index
from nas.space.ofa import OfaSpace
from nas.types import Architecture, Genomes, PositiveInt

LAST = 1
"""Number of layers of the last stage."""


@final
class ProxylessSpace(SearchSpace):
    """Search space of OFA's ProxylessNAS: stages as in :class:`nas.space.ofa.OfaSpace` and one last layer.

    The genes of the last layer are its kernel size and expansion.

    ``Architecture.config`` has OFA's notation (Cai et al. 2020): the last layer is a stage of depth 1. Architectures of
    ENCAS (Chebykin et al. 2022) do not contain this stage. They are read as well, with the largest last layer.

    Example:
        >>> stages = OfaSpace(n_stages=1, depths=(2, 3), kernel_sizes=(3, 5, 7), expand_ratios=(3, 4, 6),
        ...                   resolutions=(224,), widths=(1.3,))
        >>> space = ProxylessSpace(stages=stages, last_kernel_sizes=(7,), last_expand_ratios=(4, 6))
        >>> space.decode(space.smallest).config
        {'ks': [3, 3, 7], 'e': [3, 3, 4], 'd': [2, 1], 'r': 224, 'w': 1.3}
    """

    def __init__(
        self,
        *,
        stages: OfaSpace,
        last_kernel_sizes: tuple[PositiveInt, ...],
        last_expand_ratios: tuple[PositiveInt, ...],
    ) -> None:
        """Build the space.

        Args:
            stages: Search space of the elastic stages.
            last_kernel_sizes: Choices of the kernel size of the last layer, some of the stages' choices, ascending.
            last_expand_ratios: Choices of the expansion ratio of the last layer, some of the stages' choices,
                ascending.

        Raises:
            UserError: If the last layer has no choices, they do not ascend, or they are not among the stages' choices.
        """
        check_choices("last_kernel_sizes", last_kernel_sizes, stages.kernel_sizes)
        check_choices("last_expand_ratios", last_expand_ratios, stages.expand_ratios)
        self.stages = stages
        self.last_kernel_sizes = tuple(last_kernel_sizes)
        self.last_expand_ratios = tuple(last_expand_ratios)
        self.widths = stages.widths
        self.last_kernel_gene = stages.n_genes
        self.last_expand_gene = stages.n_genes + 1
        self.names = (*stages.names, "last.kernel_size", "last.expand_ratio")
        upper = [len(self.last_kernel_sizes) - 1, len(self.last_expand_ratios) - 1]
        self.upper = np.concatenate([stages.upper, np.array(upper, dtype=np.int64)])
        self.lower = np.zeros_like(self.upper)

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes."""
        last = {self.last_kernel_gene: self.last_kernel_sizes, self.last_expand_gene: self.last_expand_ratios}
        return f"{last[gene][value]:g}" if gene in last else self.stages.text(gene, value)

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, shape (n, d), with the genes of absent layers set to 0."""
        self.validate(genomes)
        n = self.stages.n_genes
        return np.concatenate([self.stages.canonical(genomes[:, :n]), genomes[:, n:]], axis=1)

    def expressed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return whether each gene is expressed, (n, d) -> (n, d); genes of absent layers are not."""
        n = self.stages.n_genes
        last = np.tile(self.upper[n:] > self.lower[n:], (len(genomes), 1))
        return np.concatenate([self.stages.expressed(genomes[:, :n]), last], axis=1)

    def size(self) -> int:
        """Return the number of architectures."""
        return self.stages.size() * len(self.last_kernel_sizes) * len(self.last_expand_ratios)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,), canonical or not."""
        genes: list[int] = self.canonical(np.asarray(genome)[None])[0].tolist()
        stages = self.stages.decode(np.array(genes[: self.stages.n_genes])).config
        config = {
            "ks": [*stages["ks"], self.last_kernel_sizes[genes[self.last_kernel_gene]]],
            "e": [*stages["e"], self.last_expand_ratios[genes[self.last_expand_gene]]],
            "d": [*stages["d"], LAST],
            "r": stages["r"],
            "w": stages["w"],
        }
        return Architecture(genome=tuple(genes), config=config)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,); the last stage and ``w`` may be absent.

        Raises:
            UserError: If the architecture is not in this space; the message names the key and the choices.
        """
        kernel: Any = self.last_kernel_sizes[-1]
        expand: Any = self.last_expand_ratios[-1]
        stages = dict(config)
        if _length(config.get("d")) == self.stages.n_stages + 1:
            if config["d"][-1] != LAST:
                raise UserError(f"d[{self.stages.n_stages}] is {config['d'][-1]!r}; the last stage has {LAST} layer")
            for key in ("ks", "e"):
                if _length(config.get(key)) == 0:
                    raise UserError(f"{key} must be a list with a number for each layer")
            kernel, expand = config["ks"][-1], config["e"][-1]
            stages |= {key: config[key][:-1] for key in ("ks", "e", "d")}
        genome = self.stages.encode(stages)
        last = [
            choice_index("the last of ks", kernel, self.last_kernel_sizes),
            choice_index("the last of e", expand, self.last_expand_ratios),
        ]
        return np.concatenate([genome, np.array(last, dtype=np.int64)])


def check_choices(name: str, choices: Sequence[float], of: Sequence[float]) -> None:
    """Raise UserError unless ``choices`` is a nonempty ascending selection of ``of``."""
    if not choices or [value for value in of if value in choices] != list(choices):
        raise UserError(f"{name} must be some of {list(of)}, ascending, got {list(choices)}")


def _length(values: object) -> int:
    return len(values) if isinstance(values, list | tuple) else 0
