import numpy as np
import pytest

import nas


def test_genes_are_indices_of_choices():
    space = nas.ChoiceSpace({"depth": (1, 3), "act": ("relu", "silu"), "r": (24, 28, 32)})
    assert space.size() == 12
    for genome in space.unseen(np.zeros((0, 3), dtype=np.int64)):
        config = space.decode(genome).config
        np.testing.assert_array_equal(space.encode(config), genome)
        assert [space.text(gene, int(value)) for gene, value in enumerate(genome)] == list(map(str, config.values()))


@pytest.mark.parametrize("choices", [{"a": ()}, {"a": (1, 2, 1)}])
def test_wrong_choices(choices):
    with pytest.raises(nas.UserError, match="choices of gene 'a' must be different values, one or more"):
        nas.ChoiceSpace(choices)


def test_no_genes():
    with pytest.raises(nas.UserError, match="one gene or more"):
        nas.ChoiceSpace({})


def test_wrong_architectures():
    space = nas.ChoiceSpace({"depth": (1, 3)})
    with pytest.raises(nas.UserError, match="depth is 2; choices are 1, 3"):
        space.encode({"depth": 2})
    with pytest.raises(nas.UserError, match="unknown key of an architecture 'dept'; did you mean 'depth'"):
        space.encode({"dept": 1})
