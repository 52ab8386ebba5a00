import numpy as np
import pytest
from PIL import Image

from nas.plotting.confusion import _label, confusion_figure


def test_names_are_texts_and_no_formulas(tmp_path):
    names = ("$x^{2$_", "50 %", "été", "数字")
    assert [_label(i, name) for i, name in enumerate(names)] == ["$x^{2$_", "50 %", "été", "3"]
    confusion_figure(tmp_path / "a.png", title="$a_{$", confusion=np.eye(4, dtype=np.int64), class_names=names)
    assert (tmp_path / "a.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "names"), [(2, True), (10, True), (40, False), (300, True)])
def test_a_picture_of_any_size(tmp_path, n, names):
    confusion = np.random.default_rng(0).integers(0, 9, (n, n)) + 30 * np.eye(n, dtype=np.int64)
    confusion[0] = 0  # a class without images
    named = [f"a class with a long name {i}" for i in range(n)] if names else None
    confusion_figure(tmp_path / "a.png", title="net", confusion=confusion, class_names=named)
    with Image.open(tmp_path / "a.png") as image:
        assert min(image.size) > 500 and max(image.size) < 2500
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
