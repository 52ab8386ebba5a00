import numpy as np

from nas.training.adaptation import from_distribution, in_turn


def test_candidates_in_turn_come_equally_often(space):
    genomes = space.sample(7, np.random.default_rng(0))
    chosen = in_turn(genomes, 17, np.random.default_rng(1))
    counts = [(chosen == genome).all(axis=1).sum() for genome in genomes]
    assert len(chosen) == sum(counts) == 17
    assert set(counts) == {2, 3}
    assert (chosen != in_turn(genomes, 17, np.random.default_rng(2))).any()


def test_genes_are_drawn_from_the_candidates_values(space):
    genomes = space.sample(10, np.random.default_rng(0))
    chosen = from_distribution(space, genomes, 1000, np.random.default_rng(1))
    np.testing.assert_array_equal(chosen, space.canonical(chosen))
    for gene in range(space.n_genes):
        assert set(chosen[:, gene]) <= set(genomes[:, gene]) | {0}
    assert len(np.unique(chosen, axis=0)) > 100  # combinations that no candidate has


def test_steps_are_shared_out_by_the_frequencies_of_the_width(space):
    genomes = space.sample(40, np.random.default_rng(0))
    genomes[:, space.width_gene] = [0] * 30 + [1] * 10
    chosen = from_distribution(space, genomes, 200, np.random.default_rng(1))
    assert np.bincount(chosen[:, space.width_gene]).tolist() == [150, 50]


def test_absent_layers_say_nothing_about_present_ones(space):
    """Candidates without a second layer, whose genes are 0 then, must not make its kernels small."""
    deep = space.sample(20, np.random.default_rng(0))
    deep[:, space.depth_gene(0)] = 1
    deep[:, space.kernel_gene(0, 1)] = 1
    shallow = deep.copy()
    shallow[:, space.depth_gene(0)] = 0
    genomes = space.canonical(np.concatenate([deep, shallow]))
    chosen = from_distribution(space, genomes, 400, np.random.default_rng(1))
    present = chosen[:, space.depth_gene(0)] == 1
    assert present.sum() == 200
    assert (chosen[present, space.kernel_gene(0, 1)] == 1).all()
    assert (chosen[~present, space.kernel_gene(0, 1)] == 0).all()
