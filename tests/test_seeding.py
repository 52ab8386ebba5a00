from nas.seeding import rng_for, short_seed


def test_equal_arguments_give_equal_numbers():
    assert rng_for(3, 1, "propose").random(4).tolist() == rng_for(3, 1, "propose").random(4).tolist()


def test_each_argument_matters():
    streams = [rng_for(*key).random() for key in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]]
    assert len(set(streams)) == 4


def test_a_short_seed_is_the_seed_where_it_is_short():
    assert [short_seed(seed, "weights") for seed in (0, 7, 2**32 - 1)] == [0, 7, 2**32 - 1]
    long = {short_seed(seed, purpose) for seed in (2**32, 2**32 + 1, 2**63 - 1) for purpose in ("weights", "order")}
    assert len(long) == 6 and max(long) < 2**32
