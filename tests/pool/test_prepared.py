import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn

from nas.dataset.base import Images
from nas.dataset.batches import Batches
from nas.errors import UserError
from nas.pool.prepared import Prepared
from nas.pool.timm_models import make_model, prepared


def photos(n: int, height: int, width: int) -> np.ndarray:
    """Smooth pictures of noise, uint8, (n, 3, height, width)."""
    noise = torch.rand(n, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.interpolate(noise, (height, width), mode="bilinear")
    return (255 * smooth).to(torch.uint8).numpy()


@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_images_are_cut_out_and_resized_as_runs_do_it(crop):
    pixels = photos(4, 24, 24)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    made = Prepared(nn.Identity(), mean=mean, std=std, resolution=16, crop=crop)
    images = Images(pixels, np.zeros(4, dtype=np.int64))
    batches = Batches(images=images, mean=mean, std=std, device="cpu", cache_bytes=0, crop=crop)
    torch.testing.assert_close(made(torch.from_numpy(pixels).float() / 255), batches.at(16))


@pytest.mark.parametrize("name", ["tf_efficientnet_lite1", "resnet18"])
@pytest.mark.parametrize("resolution", [None, 64])
@pytest.mark.parametrize("shape", [(300, 300), (290, 401)])
def test_centres_are_those_of_timm(name, resolution, shape):
    """But for pixels, which PIL rounds."""
    network = make_model(name, "random", 0, 3, resolution)
    made = prepared(network, resolution)
    made.network = nn.Identity()
    config = resolve_data_config({}, model=network, use_test_size=resolution is None)
    if resolution is not None:
        config["input_size"] = (3, resolution, resolution)
    transform = create_transform(**config)
    pixels = photos(2, *shape)
    expected = torch.stack([transform(Image.fromarray(photo.transpose(1, 2, 0))) for photo in pixels])
    found = made(torch.from_numpy(pixels).float() / 255)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 2.5 / 255 / min(config["std"])


def test_what_torch_cannot_resize_is_refused(monkeypatch):
    network = make_model("resnet18", "random", 0, 3, 64)
    network.pretrained_cfg = network.pretrained_cfg | {"interpolation": "lanczos"}
    with pytest.raises(UserError, match="resized by lanczos"):
        prepared(network, 64)
