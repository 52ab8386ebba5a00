"""Search spaces of named choices, for supernets of the user's own."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SearchSpace, check_keys
from nas.types import Architecture, Genomes


@final
class ChoiceSpace(SearchSpace):
    """Search space in which each gene chooses from a list; all genes are expressed in every architecture.

    A gene is the index of its choice. ``Architecture.config`` has one key for each gene, with the chosen value.
    Supernets need a gene ``"r"``: the side of the square input in pixels.

    Example:
        >>> space = ChoiceSpace({"depth": (1, 2), "width": (8, 16, 32), "r": (24, 32)})
        >>> space.decode(np.array([1, 0, 1])).config
        {'depth': 2, 'width': 8, 'r': 32}
        >>> space.encode({"depth": 1, "width": 32, "r": 24})
        array([0, 2, 0])
    """

    def __init__(self, choices: Mapping[str, Sequence[Any]]) -> None:
        """Set the choices.

        Args:
            choices: Choices of each gene by its name; each list has one value or more, all different.

        Raises:
            UserError: If there is no gene, or a list is empty or names a value twice.
        """
        self.choices = {name: tuple(values) for name, values in choices.items()}
        if not self.choices:
            raise UserError("a search space needs one gene or more")
        for name, values in self.choices.items():
            if not values or any(value in values[:i] for i, value in enumerate(values)):
                raise UserError(
                    f"the choices of gene '{name}' must be different values, one or more; got {list(values)}"
                )
        self.names = tuple(self.choices)
        self.lower = np.zeros(len(self.names), dtype=np.int64)
        self.upper = np.array([len(values) - 1 for values in self.choices.values()], dtype=np.int64)

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes, (n, d), as they are: every gene is expressed."""
        return genomes

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, (d,): the chosen values by name."""
        genes = tuple(int(gene) for gene in genome)
        chosen = zip(self.choices.items(), genes, strict=True)
        return Architecture(genes, {name: values[gene] for (name, values), gene in chosen})

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the genome, (d,), of values by name; UserError if a name is missing or a value is no choice."""
        check_keys(config, self.names)
        for name, values in self.choices.items():
            if config[name] not in values:
                raise UserError(f"{name} is {config[name]!r}; choices are {', '.join(map(str, values))}")
        return np.array([self.choices[name].index(config[name]) for name in self.names], dtype=np.int64)

    def text(self, gene: int, value: int) -> str:
        """Return the chosen value as figures show it."""
        return str(self.choices[self.names[gene]][value])
