from functools import partial

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.surrogate.adaptive import Adaptive, best_possible
from nas.surrogate.base import Surrogate


class Noisy(Surrogate):
    """Knows the truth (the first gene) up to noise; counts its fits."""

    fits = 0

    def __init__(self, name: str, noise: float, needs: int = 2) -> None:
        self.name, self.noise, self.needs = name, noise, needs

    def minimum_points(self, n_genes: int) -> int:
        return self.needs

    def fit(self, genomes, values) -> None:
        type(self).fits += 1
        if len(genomes) < self.needs:
            raise ValueError("too few")

    def predict(self, genomes):
        rng = np.random.default_rng(genomes[:, 0])
        return genomes[:, :1] + self.noise * rng.normal(size=(len(genomes), 1))


def adaptive(space, *, candidates=("rbf", "gp", "cart"), folds=10, **factories):
    unused = dict.fromkeys(("rbf", "rbf_ensemble", "gp", "mlp", "cart", "additive_gp"), partial(Noisy, "unused", 0.0))
    settings = {"candidates": candidates, "folds": folds, "seed": 0}
    return Adaptive(**settings, **(unused | factories))


def counting(name, noise, needs=2):
    kind = type(name, (Noisy,), {"fits": 0})
    return kind, lambda: kind(name, noise, needs)


GENOMES = np.arange(200).reshape(100, 2)
VALUES = GENOMES[:, :1] * 2.0


def test_the_best_ranking_wins_and_hopeless_ones_are_given_up(space):
    good, rbf = counting("good", 15.0)
    best, gp = counting("best", 0.1)
    bad, cart = counting("bad", 1e6)
    surrogate = adaptive(space, rbf=rbf, gp=gp, cart=cart)
    assert surrogate.winner == "adaptive"
    surrogate.fit(GENOMES, VALUES)
    assert surrogate.winner == "best"
    assert (good.fits, best.fits) == (10, 11)
    assert bad.fits < 9


def test_the_choice_does_not_depend_on_threads(space):
    winners = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        surrogate = adaptive(space, rbf=partial(Noisy, "a", 40.0), gp=partial(Noisy, "b", 41.0))
        surrogate.fit(GENOMES, VALUES)
        winners.append(surrogate.winner)
    torch.set_num_threads(before)
    assert winners[0] == winners[1]


def test_those_that_need_more_points_than_a_fold_has_stay_out(space):
    surrogate = adaptive(space, candidates=("rbf", "gp"), rbf=partial(Noisy, "a", 1e6), gp=partial(Noisy, "b", 0.0, 95))
    surrogate.fit(GENOMES, VALUES)
    assert surrogate.winner == "a"
    alone = adaptive(space, candidates=("gp",), gp=partial(Noisy, "b", 0.0, 95))
    alone.fit(GENOMES, VALUES)
    assert alone.winner == "b"


def test_best_possible_score_is_never_below_what_can_happen():
    rng = np.random.default_rng(0)
    for n_known in (1, 3, 5, 8, 10):
        known = list(rng.uniform(0.3, 0.9, n_known))
        grid = [[*known, *[x] * (10 - n_known)] for x in np.linspace(-1, 1, 4001)]
        reachable = max(np.mean(taus) - np.std(taus) for taus in grid)
        assert best_possible(known, 10) == pytest.approx(reachable, abs=1e-3)
        free = [[*known, *rng.uniform(-1, 1, 10 - n_known)] for _ in range(500)]
        assert best_possible(known, 10) >= max(np.mean(taus) - np.std(taus) for taus in free) - 1e-12
    assert best_possible([], 10) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": ()}, r"surrogate.candidates=\[\] must name one"),
        ({"candidates": ("rbf", "rbf")}, "each once"),
        ({"folds": 1}, "surrogate.folds=1 is too small"),
    ],
)
def test_wrong_settings(space, changes, message):
    with pytest.raises(UserError, match=message):
        adaptive(space, **changes)


def test_composes_with_its_candidates(launch):
    code, out, _ = launch("surrogate=adaptive", "surrogate.cart.trees=7", "--cfg", "job")
    assert code == 0
    assert "trees: 7" in out
    code, _, err = launch("surrogate=adaptive", "surrogate.cart.treees=7")
    assert code == 2
    assert "did you mean 'surrogate.cart.trees'" in err
    code, _, err = launch("surrogate=adaptive", "surrogate.candidates=[rbf,svm]")
    assert code == 2
    assert "surrogate.candidates[1]='svm' is wrong" in err
