"""Published data sets in small: settings as their YAML files have them, and images that tell what they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from nas.dataset.base import Augmentation, Dataset

CONF = Path(__file__).parent.parent / "conf" / "dataset"


def settings(name: str, **changed: Any) -> dict[str, Any]:
    """Return the settings of ``conf/dataset/<name>.yaml`` with some changed; those must exist, or be the cache."""
    written = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    (default,) = (entry["augmentation"] for entry in written.pop("defaults") if "augmentation" in entry)
    recipe = yaml.safe_load((CONF / "augmentation" / f"{default}.yaml").read_text())
    written["augmentation"] = Augmentation(**{key: value for key, value in recipe.items() if key != "_target_"})
    plain = {key: value for key, value in written.items() if not key.startswith("_")}
    assert set(changed) <= {*plain, "cache"}
    return plain | changed


def save(path: Path, label: int, number: int) -> None:
    """Write an image whose red tells the label and whose green tells the number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (10 * label, 10 * number, 200)).save(path, quality=100, subsampling=0)


def contents(dataset: Dataset, name: str) -> set[tuple[int, int]]:
    """Return label and number of each image of a split, and assert that images have their labels."""
    images = dataset.split(name)
    colours = np.asarray(images.pixels).reshape(len(images), 3, -1).mean(axis=2)
    found = [tuple(round(value / 10) for value in colour) for colour in colours[:, :2].tolist()]
    assert [label for label, _ in found] == images.labels.tolist()
    assert len(set(found)) == len(found)
    return {(label, number) for label, number in found}


def grid(labels: Iterable[int], numbers: Iterable[int]) -> set[tuple[int, int]]:
    """Return all pairs."""
    numbers = list(numbers)
    return {(label, number) for label in labels for number in numbers}
