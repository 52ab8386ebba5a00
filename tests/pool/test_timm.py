import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform

from nas.dataset.base import Augmentation, Dataset
from nas.dataset.imagefolder import ImageFolder
from nas.errors import UserError
from nas.pool.model import from_logits
from nas.pool.timm import TimmPool
from nas.pool.timm_models import make_model, prepared
from tests.pool.pools import silent
from tests.small import Bars

SMALL = "mobilenetv3_small_050"
TINY = ("mobilenetv3_small_050", "efficientnet_lite0")


def pool(cache: Path, dataset: Dataset | None = None, **changes: Any) -> TimmPool:
    settings: dict[str, Any] = {
        "models": (SMALL,),
        "weights": "random",
        "resolutions": (32,),
        "batch_size": 10,
        "workers": 1,
        "seed": 0,
    }
    return TimmPool(dataset=dataset or Bars(n=12), device="cpu", cache=cache, **(settings | changes))


def direct(network: torch.nn.Module, images: list[Image.Image], side: int) -> np.ndarray:
    """What timm itself makes of images."""
    config = resolve_data_config({"input_size": (3, side, side)}, model=network)
    transform = create_transform(**config)
    with torch.inference_mode():
        return network(torch.stack([transform(image) for image in images])).numpy()


def bars(split: str) -> list[Image.Image]:
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in Bars(n=12).split(split).pixels]


def test_outputs_are_those_of_timm(tmp_path):
    found = pool(tmp_path, models=TINY, resolutions=(32, 64))
    found.prepare(silent)
    assert found.names == tuple(f"timm/{name}@{side}" for name in TINY for side in (32, 64))
    assert found.architectures[1] == {"timm": SMALL, "r": 64}
    assert found.class_names == Bars.class_names
    for place, (name, side) in enumerate((name, side) for name in TINY for side in (32, 64)):
        network = make_model(name, "random", 0, 4, side)
        for split in ("validation", "test"):
            expected = from_logits(direct(network, bars(split), side))
            outputs = found.outputs(split)
            np.testing.assert_allclose(outputs.probabilities[place], expected.probabilities, atol=2e-3)
            np.testing.assert_allclose(outputs.gaps[place], expected.gaps, rtol=1e-3, atol=1e-5)
        assert found.costs["params"][place] == sum(p.numel() for p in network.parameters()) / 1e6
    flops = found.costs["flops"]
    assert flops[0] < flops[1] < 4.1 * flops[0]


def test_a_model_as_a_network_prepares_its_images_itself(tmp_path):
    """But PIL rounds the pixels of resized images."""
    found = pool(tmp_path)
    found.prepare(silent)
    outputs = found.outputs("test")
    network = prepared(make_model(SMALL, "random", 0, 4, 32), 32)
    images = torch.from_numpy(np.array(Bars(n=12).split("test").pixels)).float() / 255
    with torch.no_grad():
        probabilities = network(images).softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities, outputs.probabilities[0], atol=0.01)


def test_the_papers_cost(tmp_path):
    found = pool(tmp_path, Bars(n=4), resolutions=None, models=("efficientnet_lite0",))
    found.prepare(silent)
    assert found.names == ("timm/efficientnet_lite0",)
    assert found.costs["flops"][0] == pytest.approx(385, abs=2)  # timm's cfg: 224 pixels; 1,000 classes cost 1 more


def test_files_are_read_in_full_detail(tmp_path):
    """A photo's own shape and pixels reach the transform, not the data set's square."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(6):
            photo = Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8))
            photo.save(tmp_path / "photos" / label / f"{i}.png")
    dataset = ImageFolder(
        path=tmp_path / "photos", size=16, vld_size=4, test_size=4, split_seed=0, storage="files", corrupt="refuse",
        mean=None, std=None, resolutions=(16,), augmentation=Augmentation(shift=0, flip=False, cutout=0),
        cache=tmp_path / "cache",
    )  # fmt: skip
    found = pool(tmp_path / "cache", dataset)
    found.prepare(silent)
    pixels: Any = dataset.split("test").pixels
    photos = [pixels.photo(row, 1000) for row in range(4)]
    assert photos[0].size == (90, 60)
    expected = from_logits(direct(make_model(SMALL, "random", 0, 2, 32), photos, 32))
    np.testing.assert_allclose(found.outputs("test").gaps[0], expected.gaps, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_from_a_folder_are_known_by_their_content(tmp_path, ending, caplog):
    path = tmp_path / "weights" / f"{SMALL}.{ending}"
    path.parent.mkdir()
    write = save_file if ending == "safetensors" else torch.save
    write(make_model(SMALL, "random", 5, 4, None).state_dict(), path)
    stored, seeded = pool(tmp_path, weights=str(path.parent)), pool(tmp_path, seed=5)
    for each in (stored, seeded):
        each.prepare(silent)
    np.testing.assert_array_equal(stored.outputs("test").gaps, seeded.outputs("test").gaps)
    write(make_model(SMALL, "random", 6, 4, None).state_dict(), path)
    other = pool(tmp_path, weights=str(path))
    other.prepare(silent)
    assert other.fingerprint != stored.fingerprint
    assert (other.outputs("test").gaps != stored.outputs("test").gaps).any()


def test_models_that_fail_are_left_out(tmp_path, caplog):
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save(make_model(SMALL, "random", 0, 4, None).state_dict(), folder / f"{SMALL}.pth")
    torch.save(make_model(SMALL, "random", 0, 4, None).state_dict(), folder / "efficientnet_lite0.pth")
    found = pool(tmp_path, models=(*TINY, "resnet18"), weights=str(folder))
    with caplog.at_level(logging.WARNING):
        found.prepare(silent)
    assert found.names == (f"timm/{SMALL}@32",)
    assert "holds no weights of it: Error(s) in loading" in found.failed["timm/efficientnet_lite0@32"]
    assert found.failed["timm/resnet18"].startswith("no weights of it: ")
    assert caplog.text.count("2 models are left out of the pool") == 1


def test_weights_from_the_hub_must_fit_and_be_there(tmp_path, monkeypatch, caplog):
    real = timm.create_model

    def hub(name: str, pretrained: bool) -> torch.nn.Module:
        assert pretrained
        if name == "resnet18":
            raise OSError("no route to the hub")
        return real(name, num_classes=4 if name == SMALL else 1000)

    monkeypatch.setattr(timm, "create_model", hub)
    found = pool(tmp_path, models=(*TINY, "resnet18"), weights="hub")
    found.prepare(silent)
    assert "the names of the classes of timm's models are unknown: its outputs are taken" in caplog.text
    assert found.names == (f"timm/{SMALL}@32",)
    assert found.failed == {
        "timm/efficientnet_lite0@32": "it has 1,000 classes, the data set has 4",
        "timm/resnet18@32": "no route to the hub",
    }


def test_a_model_of_fixed_size_is_made_for_the_resolution(tmp_path):
    found = pool(tmp_path, Bars(n=4), models=("vit_tiny_patch16_224",), resolutions=(32,))
    found.prepare(silent)
    assert found.failed == {}
    assert found.costs["flops"][0] < 50


def test_a_second_pool_makes_no_model(tmp_path, monkeypatch):
    first = pool(tmp_path)
    first.prepare(silent)
    monkeypatch.setattr(timm, "create_model", None)
    second = pool(tmp_path)
    second.prepare(silent)
    assert second.fingerprint == first.fingerprint


def test_threads_change_nothing(tmp_path):
    alone, together = pool(tmp_path / "a", models=TINY), pool(tmp_path / "b", models=TINY, workers=2)
    for each in (alone, together):
        each.prepare(silent)
    assert together.fingerprint == alone.fingerprint


def test_weights_must_be_somewhere(tmp_path):
    with pytest.raises(UserError, match=r"pool.weights=/nowhere does not exist; give a file, a folder, hub or random"):
        pool(tmp_path, weights="/nowhere")
