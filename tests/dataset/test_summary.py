import numpy as np

from nas.dataset.summary import channel_sums, fingerprint, mean_and_std


def test_mean_and_std_are_those_of_the_scaled_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(7, 3, 5, 4), dtype=np.uint8)
    mean, std = mean_and_std(channel_sums(pixels), 5 * 4)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 2, 3)), atol=1e-6)
    assert all(value == round(value, 6) for value in (*mean, *std))


def test_sums_do_not_overflow() -> None:
    sums = channel_sums(np.full((1, 3, 300, 300), 255, dtype=np.uint8))
    assert sums.tolist() == [[[90_000 * 255] * 3, [90_000 * 255**2] * 3]]


def test_a_constant_channel_can_be_divided_by_its_std() -> None:
    pixels = np.zeros((2, 3, 2, 2), dtype=np.uint8)
    pixels[0, 0] = 255
    assert mean_and_std(channel_sums(pixels), 4) == ((0.5, 0.0, 0.0), (0.5, 1.0, 1.0))


def test_the_fingerprint_sees_pixels_labels_and_splits() -> None:
    labels = np.array([0, 1, 0, 1])
    splits = {"train": np.array([0, 1]), "test": np.array([2, 3])}
    known = fingerprint("a", labels, splits)
    assert known == fingerprint("a", labels.copy(), dict(reversed(splits.items())))
    changed = [
        fingerprint("b", labels, splits),
        fingerprint("a", labels[::-1], splits),
        fingerprint("a", labels, {"train": splits["test"], "test": splits["train"]}),
        fingerprint("a", labels, {"train": np.array([0]), "test": np.array([1, 2, 3])}),
    ]
    assert len({known, *changed}) == 5
    assert len(known) == 64
