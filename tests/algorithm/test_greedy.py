import numpy as np
import pytest

from nas.algorithm.greedy import GreedyCascade, cascades
from nas.cascade.source import GapCascades
from nas.errors import UserError
from nas.objective.cost import TableCost
from tests.cascades import MemoryPool, memory_pool, reference

MULTIPLIERS = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95)


def test_equals_the_published_code():
    arrays, expected = reference("greedy")
    outputs, labels, gaps = (arrays[name] for name in ("outputs", "labels", "logit_gaps"))
    right = outputs.astype(np.float32).argmax(axis=2) == labels
    found = cascades(right, gaps.astype(np.float32), arrays["mflops"], MULTIPLIERS)
    assert len(found) == len(expected) == 36
    for (networks, thresholds), row in zip(found, expected, strict=True):
        assert [network + 1 for network in networks] == row["nets"]
        np.testing.assert_allclose(np.maximum(thresholds, 0), row["thresholds"], atol=2e-7)  # theirs are 1e-7 higher

    both = MemoryPool(*(np.concatenate([a, a], axis=-2 if a.ndim == 3 else -1) for a in (outputs, labels)),
                      arrays["mflops"], np.concatenate([gaps, gaps], axis=1))  # fmt: skip
    source = GapCascades(pool=both)
    configs = [{"networks": [f"net{i}" for i in n], "gaps": g[:-1]} for n, g in found]
    outcome = source.outcome(np.array([source.space.encode(config) for config in configs]), "validation")
    np.testing.assert_allclose(outcome.errors, [row["error"] for row in expected], rtol=1e-6)
    np.testing.assert_allclose(source.average_costs(outcome)["flops"], [row["mflops"] for row in expected], rtol=1e-6)


def test_thresholds_by_one_sweep_are_those_of_a_rescan():
    """With ties in the gaps, and many images that earlier networks have answered."""
    rng = np.random.default_rng(0)
    right = rng.random((5, 80)) < np.linspace(0.4, 0.9, 5)[:, None]
    gaps = rng.integers(0, 12, (5, 80)).astype(np.float32)
    costs = np.array([1.0, 3, 5, 9, 20])
    for (networks, thresholds), (reference_network, multiplier) in zip(
        cascades(right, gaps, costs, MULTIPLIERS), [(r, m) for r in range(5) for m in MULTIPLIERS], strict=True
    ):
        left = np.ones(80, dtype=bool)
        for position, (network, threshold) in enumerate(zip(networks, thresholds, strict=True)):
            ratios = []
            for candidate in set(range(5)) - set(networks[:position]):
                sets = [left & (gaps[candidate] > limit) for limit in (-1, *np.unique(gaps[candidate]))]
                wanted = [multiplier * right[reference_network, s].mean() - 1e-6 if s.any() else 2 for s in sets]
                shares = [right[candidate, s].mean() if s.any() else 0 for s in sets]
                good = [s for s, share, least in zip(sets, shares, wanted, strict=True) if share and share >= least]
                if good:
                    ratios.append((good[0].sum() / costs[candidate], -candidate))
            if not ratios:  # nobody is accurate enough on the rest: the network before answers it
                break
            assert -max(ratios)[1] == network
            left &= ~(gaps[network] > threshold)
        assert not left.any()


def test_every_reference_and_multiplier_is_proposed_once():
    pool = memory_pool()
    source = GapCascades(pool=pool)
    objectives = [TableCost(cost="flops", tables=source.costs())]
    greedy = GreedyCascade(space=source.space, pool=pool, objectives=objectives, multipliers=(1.0, 0.9))
    batch = greedy.propose(None, 0, np.random.default_rng(0))
    assert 2 <= len(batch.genomes) == len(np.unique(batch.genomes, axis=0)) <= greedy.evaluations == 14


def test_other_spaces_and_unknown_costs_are_refused(space, tables):
    pool = memory_pool()
    source = GapCascades(pool=pool)
    objectives = [TableCost(cost="flops", tables=tables)]
    with pytest.raises(UserError, match="choose space=gap_cascade"):
        GreedyCascade(space=space, pool=pool, objectives=objectives, multipliers=(1.0,))
    with pytest.raises(UserError, match="does not know params"):
        objectives = [TableCost(cost="params", tables=tables)]
        GreedyCascade(space=source.space, pool=pool, objectives=objectives, multipliers=(1.0,))
