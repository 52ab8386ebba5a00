import numpy as np
import torch

from nas.surrogate.mlp import MLP


def mlp(seed=0, epochs=200):
    return MLP(hidden=30, dropout=0.2, learning_rate=5e-3, epochs=epochs, held_out=0.2, seed=seed, device="cpu")


def data():
    rng = np.random.default_rng(0)
    genomes = rng.integers(0, 4, size=(90, 6))
    return genomes, 20 + 3 * np.sin(genomes.sum(axis=1, keepdims=True) / 4)


def test_learns_what_is_not_linear():
    genomes, values = data()
    surrogate = mlp()
    surrogate.fit(genomes[:70], values[:70])
    error = np.sqrt(((surrogate.predict(genomes[70:]) - values[70:]) ** 2).mean())
    assert error < 0.5 * values.std()


def test_seeds_differ_and_the_global_generator_is_left_alone():
    genomes, values = data()
    state = torch.get_rng_state()
    predicted = []
    for seed in (0, 1):
        surrogate = mlp(seed, epochs=20)
        surrogate.fit(genomes, values)
        predicted.append(surrogate.predict(genomes))
    assert not np.array_equal(*predicted)
    assert torch.equal(torch.get_rng_state(), state)
