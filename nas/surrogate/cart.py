"""Ensemble of regression trees, each on a random subset of the genes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from sklearn.tree import DecisionTreeRegressor

from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes, NonNegativeInt, PositiveInt

_STATES = 2_000_000
"""Maximum number of pairs of a genome and a tree that are evaluated together."""


@final
class CART(Surrogate):
    """Mean of regression trees on random subsets of the genes (NSGANetV2, section 3.2; E2EPP, Sun et al. 2019).

    As in the published code, the size of a subset is uniform from 1 to the number of genes, and scikit-learn grows each
    tree on all points until its leaves are pure. The trees are then stored in shared arrays and evaluated together.
    They grow in as many threads as torch uses. Subsets and trees depend on ``seed`` and the points only.

    Example:
        >>> from nas.surrogate.cart import CART
        >>> genomes = np.array([[0, 0], [0, 3], [1, 2], [2, 0], [3, 1], [3, 3]])
        >>> surrogate = CART(trees=20)
        >>> surrogate.fit(genomes, 2.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.predict(genomes).shape, surrogate.deviation(genomes).shape
        ((6, 1), (6, 1))
    """

    name = "cart"

    def __init__(self, *, trees: PositiveInt = 1000, seed: NonNegativeInt = 0) -> None:
        """Set the size of the ensemble.

        Args:
            trees: Number of trees (published: 1,000; in the code of the experiments: 5,000).
            seed: Seed of the random subsets of genes.
        """
        self._n_trees = trees
        self._seed = seed

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Grow the trees on the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer than two different genomes.
        """
        known = self.standardised(genomes, values)
        points, targets, self._center, self._scale = known.points, known.targets, known.center, known.scale
        places = points.astype(np.float32)
        rng, n_genes = np.random.default_rng(self._seed), points.shape[1]
        subsets = [
            np.sort(rng.permutation(n_genes)[: rng.integers(1, n_genes, endpoint=True)]) for _ in range(self._n_trees)
        ]

        def grow(tree: int) -> DecisionTreeRegressor:
            own = np.ascontiguousarray(places[:, subsets[tree]])
            return DecisionTreeRegressor(random_state=tree).fit(own, targets, check_input=False)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            grown = list(pool.map(grow, range(self._n_trees)))
        self._lay_out(grown, subsets)

    def predict(self, genomes: Genomes) -> Floats:
        """Return predicted values, the means of the trees' predictions, (k, d) -> (k, m)."""
        parts = [self._of_trees(part).mean(axis=1) for part in self._split(genomes)]
        mean: Floats = np.concatenate(parts) * self._scale + self._center
        return mean

    def deviation(self, genomes: Genomes) -> Floats:
        """Return the standard deviation of the trees' predictions, (k, d) -> (k, m)."""
        parts = [self._of_trees(part).std(axis=1) for part in self._split(genomes)]
        deviation: Floats = np.concatenate(parts) * self._scale
        return deviation

    def _lay_out(self, grown: Sequence[DecisionTreeRegressor], subsets: Sequence[npt.NDArray[np.int64]]) -> None:
        """Store the nodes of all trees in shared arrays.

        Each leaf is its own child, so that the same number of steps reaches a leaf in all trees.
        """
        counts = [tree.tree_.node_count for tree in grown]
        starts = np.cumsum([0, *counts[:-1]])
        places = np.arange(sum(counts))
        left = np.concatenate([tree.tree_.children_left + start for tree, start in zip(grown, starts, strict=True)])
        right = np.concatenate([tree.tree_.children_right + start for tree, start in zip(grown, starts, strict=True)])
        leaf = np.concatenate([tree.tree_.children_left < 0 for tree in grown])
        genes = [own[np.maximum(tree.tree_.feature, 0)] for tree, own in zip(grown, subsets, strict=True)]
        self._children = np.stack([np.where(leaf, places, left), np.where(leaf, places, right)], axis=1).ravel()
        self._genes = np.concatenate(genes)
        self._thresholds = np.concatenate([tree.tree_.threshold for tree in grown])
        self._values = np.concatenate([tree.tree_.value[:, :, 0] for tree in grown])
        self._roots = starts
        self._depth = max(tree.get_depth() for tree in grown)

    def _split(self, genomes: Genomes) -> list[Genomes]:
        rows = max(1, _STATES // self._n_trees)
        return [genomes[start : start + rows] for start in range(0, max(len(genomes), 1), rows)]

    def _of_trees(self, genomes: Genomes) -> Floats:
        """Return the standardized predictions of the trees, (k, d) -> (k, trees, m)."""
        nodes = np.tile(self._roots, (len(genomes), 1))
        rows = np.arange(len(genomes))[:, None]
        for _ in range(self._depth):
            beyond = genomes[rows, self._genes[nodes]] > self._thresholds[nodes]
            nodes = self._children[2 * nodes + beyond]
        values: Floats = self._values[nodes]
        return values
