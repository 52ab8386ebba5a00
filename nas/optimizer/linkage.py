"""Linkage trees: sets of genes that depend on each other in a population."""

from typing import final

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage

from nas.optimizer.dominance import Bools
from nas.types import Floats, Genomes


@final
class LinkageTrees:
    """Learner of linkage trees by average linkage (UPGMA) of normalized mutual information.

    Luong et al. (2014, section 3.3) use mutual information without normalization. It is larger for genes with many
    values than for genes with few. Here it is divided by the joint entropy: 0 for independent genes, 1 if each of the
    two genes determines the other.

    Attributes:
        n_sets: Number of sets in a tree: one for each gene, and one for each merged set except the set of all genes.
    """

    def __init__(self, lower: Genomes, upper: Genomes) -> None:
        """Set the bounds of the genes.

        Args:
            lower: Smallest value of each gene, shape (d,).
            upper: Largest value of each gene, inclusive, shape (d,).
        """
        self._lower = lower
        self._d = len(lower)
        self.n_sets = max(2 * self._d - 2, 1)
        self._first, self._second = np.triu_indices(self._d, k=1)
        self._strides = (upper - lower + 1)[self._second]

    def learn(self, genomes: Genomes, rng: np.random.Generator) -> Bools:
        """Return the sets of the linkage tree as masks, shape (n_sets, d).

        Args:
            genomes: Genomes of a population, shape (n, d).
            rng: Random generator that breaks ties.
        """
        if self._d == 1:
            return np.ones((1, 1), dtype=bool)
        order = rng.permutation(self._d)
        similarity = self.similarity(genomes)[np.ix_(order, order)]
        tree = linkage(1.0 - similarity[np.triu_indices(self._d, k=1)], method="average")
        masks = np.zeros((2 * self._d - 1, self._d), dtype=bool)
        masks[np.arange(self._d), order] = True
        for i, (a, b) in enumerate(tree[:-1, :2].astype(np.int64).tolist()):
            masks[self._d + i] = masks[a] | masks[b]
        return masks[:-1]

    def similarity(self, genomes: Genomes) -> Floats:
        """Return the normalized mutual information, 0 to 1, of all pairs of genes, (n, d) -> (d, d)."""
        choices = genomes - self._lower
        pairs = choices[:, self._first] * self._strides + choices[:, self._second]
        single, joint = _entropies(choices), _entropies(pairs)
        mutual = single[self._first] + single[self._second] - joint
        result = np.zeros((self._d, self._d))
        result[self._first, self._second] = np.clip(mutual / np.where(joint > 0, joint, 1.0), 0.0, 1.0)
        return result + result.T


def _entropies(values: npt.NDArray[np.int64]) -> Floats:
    """Return the entropy of each column in nats, (n, c) -> (c,), from the run lengths of its sorted values."""
    n, c = values.shape
    ordered = np.sort(np.ascontiguousarray(values.T, dtype=np.int32), axis=1)
    starts = np.ones((c, n), dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    positions = np.flatnonzero(starts)
    lengths = np.diff(positions, append=n * c)
    shares = np.arange(1, n + 1) / n
    terms = -shares * np.log(shares)
    return np.bincount(positions // n, weights=terms[lengths - 1], minlength=c).astype(np.float64)
