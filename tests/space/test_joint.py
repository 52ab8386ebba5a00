import numpy as np
import pytest

from nas.errors import UserError
from nas.space.joint import JointSpace, MemberTables, is_cascade
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable


def member(n_stages=1, widths=(0.5, 1.0)):
    return OfaSpace(
        n_stages=n_stages, depths=(1, 2), kernel_sizes=(3, 5), expand_ratios=(2, 3), resolutions=(8, 12), widths=widths
    )


def space(n=3):
    return JointSpace({name: member(i + 1) for i, name in enumerate("abc"[:n])})


def with_decisions(whole, positions, thresholds):
    """Return the smallest architectures with these positions and thresholds, one cascade."""
    genome = whole.lower.copy()
    genome[whole._positions], genome[whole._thresholds] = positions, thresholds
    return genome[None]


@pytest.mark.parametrize("n", [2, 3])
def test_round_trip(n):
    whole = space(n)
    genomes = whole.sample(200, np.random.default_rng(0))
    np.testing.assert_array_equal(whole.canonical(genomes), genomes)
    for genome in genomes:
        architecture = whole.decode(genome)
        assert architecture.genome == tuple(genome.tolist())
        np.testing.assert_array_equal(whole.encode(architecture.config), genome)


def test_a_genome_is_the_members_genes_each_with_position_and_threshold():
    whole = space(2)
    assert whole.names == (
        *(f"a.{name}" for name in member(1).names),
        "a.position",
        "a.threshold",
        *(f"b.{name}" for name in member(2).names),
        "b.position",
        "b.threshold",
    )
    genomes = whole.sample(50, np.random.default_rng(1))
    for part, own in zip(whole.split(genomes), (member(1), member(2)), strict=True):
        np.testing.assert_array_equal(own.canonical(part), part)
    assert whole.upper[whole._positions].tolist() == [1, 1]
    assert whole.upper[whole._thresholds].tolist() == [9, 9]


def test_the_highest_position_is_asked_first_and_of_equals_the_last():
    whole = space()
    for positions, order in [([0, 1, 2], [2, 1, 0]), ([2, 0, 1], [0, 2, 1]), ([1, 1, 0], [1, 0, 2])]:
        assert whole.order(with_decisions(whole, positions, [0, 0, 0])).tolist() == [order]
    assert whole.order(with_decisions(whole, [1, 1, 1], [0, 0, 0])).tolist() == [[2, 1, 0]]


def test_limits_are_those_of_the_networks_asked_before():
    whole = space()
    genome = with_decisions(whole, [1, 2, 0], [4, 9, 7])
    np.testing.assert_allclose(whole.limits(genome), [[1.0, 0.5]])
    config = whole.decode(genome[0]).config
    assert [config[name]["position"] for name in "abc"] == [1, 2, 0]
    assert [config[name]["threshold"] for name in "abc"] == [0.5, 1.0, 0.1]  # nobody reads the last one's


def test_genomes_of_one_cascade_become_one():
    whole = space()
    same = [([0, 1, 0], [3, 5, 2]), ([0, 2, 1], [3, 5, 2]), ([0, 2, 1], [8, 5, 2]), ([1, 2, 1], [3, 5, 2])]
    genomes = np.concatenate([with_decisions(whole, *each) for each in same])
    canonical = whole.canonical(genomes)
    assert len(np.unique(canonical, axis=0)) == 1
    np.testing.assert_array_equal(whole.order(genomes), whole.order(canonical))
    np.testing.assert_array_equal(whole.limits(genomes), whole.limits(canonical))


def test_random_genomes_have_all_orders():
    whole = space()
    orders = whole.order(whole.sample(300, np.random.default_rng(0)))
    assert len(np.unique(orders, axis=0)) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "one network of each of a, b, c"),
        ({"b": {"position": 3}}, r"b\.position is 3; choices are 0, 1, 2"),
        ({"c": {"threshold": 0.15}}, r"c\.threshold is 0\.15; choices are 0\.1, 0\.2"),
        ({"b": {"threshold": None}}, r"b\.threshold is None"),
        ({"a": {"r": 9}}, "9"),
    ],
)
def test_wrong_cascades_are_refused(change, message):
    whole = space()
    config = {name: dict(each) for name, each in whole.decode(whole.largest).config.items()}
    for name, changes in change.items():
        config[name] = config[name] | changes if changes else None
        if changes is None:
            del config[name]
    with pytest.raises(UserError, match=message):
        whole.encode(config)


def test_costs_of_each_network_and_of_all():
    whole = space(2)
    tables = [AdditiveTable(each.n_genes, [((0,), np.array([3, 5]))]) for each in whole.members.values()]
    costs = MemberTables(whole, tables)
    genomes = whole.sample(20, np.random.default_rng(0))
    parts = costs.parts(genomes)
    assert list(parts) == ["a", "b"]
    for table, part, name in zip(tables, whole.split(genomes), parts, strict=True):
        np.testing.assert_array_equal(parts[name], table(part))
    np.testing.assert_array_equal(costs(genomes), parts["a"] + parts["b"])


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"tiny": {"r": 8}, "wide": {"r": 8}}, True),
        ({"networks": ["a", "b"], "thresholds": [0.5]}, True),
        ({"r": 8, "d": [1, 2]}, False),
        ({}, False),
    ],
)
def test_cascades_are_told_from_networks(config, found):
    assert is_cascade(config) == found
