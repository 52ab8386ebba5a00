from nas.seeding import rng_for


def test_equal_arguments_give_equal_numbers():
    assert rng_for(3, 1, "propose").random(4).tolist() == rng_for(3, 1, "propose").random(4).tolist()


def test_each_argument_matters():
    streams = [rng_for(*key).random() for key in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]]
    assert len(set(streams)) == 4
