import numpy as np

from nas.space.ofa import OfaSpace
from nas.surrogate.encoding import Encoding


def test_absent_layers_have_no_choice(space):
    encoding = Encoding(space)
    small, large = encoding(np.stack([space.smallest, space.largest]))
    values = space.n_genes
    assert not small[:values].any()
    assert (large[:values] == 1).all()
    # all genes have a choice in the largest; in the smallest the second layer of both stages has none
    assert large[values:].sum() == space.n_genes
    assert small[values:].sum() == space.n_genes - 2 * 2


def test_kinds_are_names_without_their_place(space):
    encoding = Encoding(space)
    assert encoding.n_kinds == 2 * 5  # depth, kernel_size, expand_ratio, resolution, width; values and choices
    assert (np.bincount(encoding.kinds)[:5] == [2, 4, 4, 1, 1]).all()


def test_genes_with_one_choice_have_no_features():
    space = OfaSpace(n_stages=1, depths=(2,), kernel_sizes=(3,), expand_ratios=(2, 3), resolutions=(8,), widths=(1.0,))
    assert Encoding(space)(space.sample(7, np.random.default_rng(0))).shape == (7, 2 + 4)
