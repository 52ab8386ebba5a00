import numpy as np

from nas.dataset.renormalised import Renormalised
from tests.small import Bars


def test_only_the_moments_are_others():
    data = Bars()
    subject = Renormalised(data, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert (subject.mean, subject.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for name in ("class_names", "fingerprint", "augmentation", "resolutions", "n_classes"):
        assert getattr(subject, name) == getattr(data, name)
    assert np.array_equal(subject.split("test").pixels[:], data.split("test").pixels[:])
    assert np.array_equal(subject.split("train").labels, data.split("train").labels)
