from collections.abc import Sequence

import numpy as np
import pytest

from nas.dataset.base import Images
from nas.dataset.classes import Renormalised, matched, order_of
from nas.errors import UserError
from tests.small import Bars


class Few(Bars):
    """Some of the classes of bars, in another order."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(n=16)
        self.class_names = names  # type: ignore[assignment]

    def split(self, name: str) -> Images:
        images = super().split(name)
        rows = images.labels < len(self.class_names)
        return Images(images.pixels[np.flatnonzero(rows)], images.labels[rows])


MODEL = ("upper", "lower", "left", "right")


def test_equal_names_change_nothing() -> None:
    data = Bars()
    found = matched("net", MODEL, 4, data)
    assert (found.dataset, found.known, found.note) == (data, True, None)


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("right", "upper", "left", "lower"), "its classes in another order than net: they are matched by name"),
        (
            ("left", "upper"),
            "2 of the 4 classes of net, matched by name; an answer that is another class counts as wrong",
        ),
    ],
)
def test_labels_become_the_outputs_with_their_names(names: tuple[str, ...], note: str) -> None:
    data = Few(names)
    found = matched("net", MODEL, 4, data)
    assert found.note is not None and note in found.note
    assert found.dataset.class_names == MODEL
    assert found.dataset.fingerprint == data.fingerprint
    before, after = data.split("test"), found.dataset.split("test")
    assert [MODEL[label] for label in after.labels] == [names[label] for label in before.labels]
    assert after.pixels is not None and np.array_equal(np.asarray(after.pixels), np.asarray(before.pixels))


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            ("a", "b", "c", "d"),
            ("z", "y", "x", "w"),
            "net has other classes than the data set: the model alone has 'a', 'b', 'c' and 1 more, the data set alone "
            "has 'z', 'y', 'x' and 1 more; use the same names (links to folders will do), or images of its own classes",
        ),
        (("a", "b"), ("a", "c"), "the model alone has 'b', the data set alone has 'c'"),
        (("a", "b"), ("a", "b", "c"), "net has 2 classes, the data set has 3"),
        (None, ("a", "b", "c"), "net has 2 classes, the data set has 3"),
    ],
)
def test_other_names_are_refused(ours: Sequence[str] | None, theirs: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*$") as caught:
        matched("net", ours, len(ours or "ab"), Few(theirs))
    assert message in str(caught.value)


@pytest.mark.parametrize("ours", [None, ("0", "1")])
def test_unknown_names_are_taken_in_their_order_with_a_warning(ours: Sequence[str] | None) -> None:
    data = Few(("ant", "bee"))
    found = matched("net", ours, 2, data)
    assert (found.dataset, found.known) == (data, False)
    assert found.note == (
        "the names of the classes of net are unknown: its outputs are taken for the data set's classes in their order, "
        "from 'ant' to 'bee'"
    )


def test_the_order_of_published_networks_is_that_of_imagenet() -> None:
    names = tuple(f"n{number:08}" for number in range(1000))
    assert matched("net", None, 1000, Few(names)).note is None


def test_numbers_are_names() -> None:
    """Folders named by a class's number come in the order of texts."""
    data = Few(tuple(sorted(map(str, range(12)))))
    found = matched("net", tuple(map(str, range(12))), 12, data)
    assert found.known and order_of(data.class_names, found.dataset.class_names) == [0, 1, 10, 11, *range(2, 10)]


def test_a_letter_that_is_written_in_two_ways_is_one() -> None:
    assert order_of(("caf\u00e9", "b"), ("b", "cafe\u0301")) == [1, 0]
    assert order_of(("a", "b"), ("a", "c")) is None


def test_only_the_moments_are_others():
    data = Bars()
    subject = Renormalised(data, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert (subject.mean, subject.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for name in ("class_names", "fingerprint", "augmentation", "resolutions", "n_classes"):
        assert getattr(subject, name) == getattr(data, name)
    assert np.array_equal(subject.split("test").pixels[:], data.split("test").pixels[:])
    assert np.array_equal(subject.split("train").labels, data.split("train").labels)
