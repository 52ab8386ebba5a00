import numpy as np
import pytest

from nas.cascade.outputs import StoredOutputs, outputs_on
from tests.cascades import by_definition, made_up, reference

WIDE, NARROW = 100, 1  # MiB: enough for single precision, or not


def random_cascades(k, n, size=4, seed=1):
    rng = np.random.default_rng(seed)
    networks = rng.integers(0, k + 1, size=(n, size))
    networks[~networks.any(axis=1), -1] = 1
    return networks, rng.integers(0, 51, size=(n, size - 1)) / 50


@pytest.mark.parametrize("memory", [WIDE, NARROW])
@pytest.mark.parametrize("threads", [1, 2])
def test_equals_the_published_code(memory, threads):
    arrays, expected = reference("cascade")
    stored = StoredOutputs(arrays["outputs"], arrays["labels"].astype(np.int64), threads, memory)
    networks = np.array([row["nets"] for row in expected])
    thresholds = np.array([row["thresholds"] for row in expected])
    infinite = np.full(thresholds.shape, np.inf)
    for kind, limits in (("cascade", thresholds), ("ensemble", infinite)):
        errors, reached = stored.cascades(networks, limits)
        costs = np.concatenate([[0], arrays["mflops"]])[networks]
        np.testing.assert_allclose(errors, [row[f"{kind}_error"] for row in expected], rtol=0, atol=1e-9)
        mflops = (costs * reached / 2000).sum(axis=1)
        np.testing.assert_allclose(mflops, [row[f"{kind}_mflops"] for row in expected], rtol=1e-9)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_a_population_equals_one_at_a_time(n):
    probabilities, labels, _ = made_up(n=n)
    stored = StoredOutputs(probabilities, labels, 2, WIDE)
    networks, thresholds = random_cascades(7, 60)
    errors, reached = stored.cascades(networks, thresholds)
    for genome in range(60):
        expected = by_definition(probabilities, labels, networks[genome], thresholds[genome])
        assert (errors[genome], reached[genome].tolist()) == expected
        alone = stored.cascades(networks[genome : genome + 1], thresholds[genome : genome + 1])
        assert (alone[0][0], alone[1][0].tolist()) == expected


@pytest.mark.parametrize("memory", [WIDE, NARROW])
def test_of_equal_probabilities_the_first_class_counts(memory):
    probabilities, labels, _ = made_up(k=5, n=500, c=600 if memory == NARROW else 4, steps=4)
    tied = (np.sort(probabilities, axis=2)[:, :, -1] == np.sort(probabilities, axis=2)[:, :, -2]).mean()
    assert tied > 0.05
    stored = StoredOutputs(probabilities, labels, 1, memory)
    networks, thresholds = random_cascades(5, 20)
    errors, reached = stored.cascades(networks, thresholds)
    for genome in range(20):
        expected = by_definition(probabilities, labels, networks[genome], thresholds[genome])
        assert (errors[genome], reached[genome].tolist()) == expected


def test_precision_and_threads_change_nothing():
    probabilities, labels, _ = made_up(k=9, n=3000, c=20)
    networks, thresholds = random_cascades(9, 50)
    found = [
        StoredOutputs(probabilities, labels, threads, memory).cascades(networks, thresholds)
        for threads, memory in ((1, WIDE), (3, WIDE), (1, NARROW), (2, NARROW))
    ]
    for errors, reached in found[1:]:
        np.testing.assert_array_equal(errors, found[0][0])
        np.testing.assert_array_equal(reached, found[0][1])


class TestProperties:
    @pytest.fixture
    def outputs(self):
        return made_up()

    @pytest.fixture
    def stored(self, outputs):
        return StoredOutputs(outputs[0], outputs[1], 1, WIDE)

    def test_a_cascade_of_one_network_is_that_network(self, outputs, stored):
        networks = np.zeros((7, 4), dtype=np.int64)
        networks[np.arange(7), np.arange(7) % 4] = 1 + np.arange(7)
        errors, reached = stored.cascades(networks, np.full((7, 3), 0.5))
        own = 100 * (outputs[0].argmax(axis=2) != outputs[1]).mean(axis=1)
        np.testing.assert_allclose(errors, own, atol=1e-12)
        np.testing.assert_array_equal(reached, 200 * (networks > 0))

    def test_threshold_0_never_asks_a_second_network(self, stored):
        networks = np.array([[3, 5, 0, 6]])
        _, reached = stored.cascades(networks, np.zeros((1, 3)))
        assert reached.tolist() == [[200, 0, 0, 0]]

    def test_threshold_1_asks_all_but_those_above_it(self):
        probabilities, labels, _ = made_up()
        probabilities[2, :40] = np.eye(5)[0]
        stored = StoredOutputs(probabilities, labels, 1, WIDE)
        _, reached = stored.cascades(np.array([[3, 5]]), np.ones((1, 1)))
        assert reached.tolist() == [[200, 200]]  # a probability of 1 is not above 1
        _, reached = stored.cascades(np.array([[3, 5]]), np.full((1, 1), 0.98))
        assert reached[0, 1] == (probabilities[2].max(axis=1) <= np.float32(0.98)).sum() <= 160

    def test_no_network_may_stand_anywhere(self, stored):
        """It takes its place's threshold with it: the one right before each network counts."""
        plain = stored.cascades(np.array([[3, 5, 6]]), np.array([[0.5, 0.7]]))
        for networks, thresholds in [
            ([0, 3, 5, 6], [0.1, 0.5, 0.7]),
            ([3, 0, 5, 6], [0.1, 0.5, 0.7]),
            ([3, 5, 0, 6], [0.5, 0.1, 0.7]),
            ([3, 5, 6, 0], [0.5, 0.7, 0.1]),
            ([0, 3, 0, 5, 0, 6, 0], [0.1, 0.9, 0.5, 0.0, 0.7, 1.0]),
        ]:
            errors, reached = stored.cascades(np.array([networks]), np.array([thresholds]))
            assert errors == plain[0]
            assert reached[0][np.array(networks) > 0].tolist() == plain[1][0].tolist()

    def test_raising_a_threshold_asks_more(self, stored):
        networks = np.tile([[2, 4, 6]], (51, 1))
        thresholds = np.column_stack([np.arange(51) / 50, np.full(51, 0.6)])
        _, reached = stored.cascades(networks, thresholds)
        assert (np.diff(reached[:, 1]) >= 0).all() and reached[0, 1] == 0


def test_outputs_on_the_cpu_are_laid_out_for_it():
    probabilities, labels, _ = made_up(n=65)
    networks, thresholds = random_cascades(7, 20)
    found = outputs_on("cpu", probabilities, labels, threads=1, memory_mib=WIDE)
    assert isinstance(found, StoredOutputs)
    expected = StoredOutputs(probabilities, labels, 2, WIDE).cascades(networks, thresholds)
    for one, other in zip(found.cascades(networks, thresholds), expected, strict=True):
        np.testing.assert_array_equal(one, other)
