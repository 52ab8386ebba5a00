import pytest

from nas.dataset.none import NoImages
from nas.errors import UserError


def test_it_has_classes_and_no_images():
    dataset = NoImages(classes=1000, resolutions=(160, 192))
    assert dataset.n_classes == 1000
    with pytest.raises(UserError, match="dataset=none has no images"):
        dataset.split("train")


def test_a_network_cannot_be_evaluated_on_it(launch):
    code, _, err = launch("dataset=none")
    assert code == 2
    assert "dataset=none has no images: choose a data set" in err
