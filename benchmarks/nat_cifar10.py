"""NAT with Once-for-All's MobileNetV3 on CIFAR-10, from random weights: the whole path, and how busy the GPU is.

    python benchmarks/nat_cifar10.py FOLDER --runs 3             on a GPU, about six minutes
    python benchmarks/nat_cifar10.py FOLDER --small              on two CPU cores; half an hour beside other work

``FOLDER`` holds CIFAR-10 as images, ``train/<class>/*`` and ``test/<class>/*``. The runs are ordinary ones
(``launch.py algorithm=nat``) that share the GPU; while they go on, the driver is asked five times a second whether
the GPU computes. Then the largest subnet alone is trained by an ordinary loop on the same images, and as a part of the
supernet: images a second, in the same process. Writes ``nat_cifar10.txt`` and ``nat_cifar10.png`` beside this file,
with ``--small`` ``nat_cifar10_small.txt`` and ``.png``.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.cli.compose import experiment_of
from nas.dataset.base import Dataset
from nas.supernet.base import Supernet
from nas.supernet.precision import mixed
from nas.team import ALONE
from nas.training.adaptation import Adaptation, AdaptationSettings

HERE = Path(__file__).parent
RUN = HERE.parent / "outputs" / "benchmark_nat_cifar10"
SECONDS = 5.0  # of each measurement of images a second
DATA = ["dataset=imagefolder", "dataset.size=32", "dataset.vld_size=5000", "dataset/augmentation=small"]
SUPERNET = ["supernet=ofa_w10", "supernet.checkpoint=random"]
GPU = [
    "supernet.resolutions=[96]",
    *("algorithm.n_doe=32", "algorithm.n_iter=32", "algorithm.iterations=13"),
    *("training.batch_size=1024", "training.lr=0.2", "training.schedule=cosine", "training.averaged_iterations=5"),
    *("training.epochs=2", "training.warmup_epochs=5"),
    *("evaluator.batch_size=1000", "evaluator.recalibration_images=1000", "evaluator.recalibration_batch_size=1000"),
    *("surrogate.members=200", "evaluator.at_once=16", "optimizer.generations=50"),
]
SMALL = [
    "supernet.resolutions=[32]",
    *("algorithm.n_doe=24", "algorithm.n_iter=24", "algorithm.iterations=2", "dataset.vld_size=1000"),
    *("training.batch_size=128", "training.epochs=1", "training.lr=0.05", "training.averaged_iterations=2"),
    *(
        "evaluator.recalibration_images=500",
        "surrogate.members=100",
    ),
]


class Busy:
    """What the driver says about the GPU, with the time of each sample; nothing where there is no GPU."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        tool = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
        command = [tool, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        self._process = None
        if torch.cuda.is_available() and Path(tool).exists():
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip().isdigit():
                self.samples.append((time.time(), float(line)))

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()


def search(settings: list[str], runs: int) -> Busy:
    shutil.rmtree(RUN, ignore_errors=True)
    busy = Busy()
    command = [
        sys.executable,
        str(HERE.parent / "launch.py"),
        "algorithm=nat",
        "tracker=csv",
        "reference_point=[90,60]",
    ]
    processes = [
        subprocess.Popen([*command, f"seed={seed}", f"paths.run={RUN / str(seed)}", *settings]) for seed in range(runs)
    ]
    codes = [process.wait() for process in processes]
    busy.stop()
    if any(codes):
        raise SystemExit(f"a run failed: exit codes {codes}")
    return busy


def parts(settings: list[str]) -> tuple[Dataset, Supernet, int]:
    """Return the data set, the supernet and the batch size of the run, built in this process."""
    experiment = experiment_of(["algorithm=nat", *settings])
    return experiment.dataset, experiment.supernet, int(experiment.resolved["training"]["batch_size"])


def speeds(dataset: Dataset, supernet: Supernet, batch_size: int) -> dict[str, float]:
    """Return images a second of training the largest subnet, ordinarily and in the supernet."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = AdaptationSettings(
        batch_size=batch_size,
        momentum=0.9,
        weight_decay=4e-5,
        label_smoothing=0.0,
        distillation=0.0,
        ema=None,
        amp=True,
        seed=0,
    )
    adaptation = Adaptation(supernet=supernet, dataset=dataset, device=device, team=ALONE, settings=settings)
    largest = supernet.space.decode(supernet.space.largest)
    network = supernet.extract(largest).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=4e-5)

    def plain(n: int, number: int) -> None:
        for images, labels in adaptation.batches.epoch(number, [largest.config["r"]] * n):
            optimizer.zero_grad()
            with mixed(device, True):
                loss = torch.nn.functional.cross_entropy(network(images).float(), labels)
            loss.backward()
            optimizer.step()

    def shared(n: int, number: int) -> None:
        adaptation.train_epoch(number, np.tile(supernet.space.largest, (n, 1)), np.full(n, 0.01))

    found = {}
    for name, train in (("an ordinary network", plain), ("in the supernet", shared)):
        train(3, 0)
        n = min(10, len(adaptation.batches))
        steps, start = 0, _now(device)
        while (seconds := _now(device) - start) < SECONDS:
            train(n, 1)
            steps += n
        found[name] = steps * batch_size / seconds
    return found


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def report(busy: Busy, n_images: int, settings: list[str], runs: int) -> str:
    values = {key: value for key, _, value in (setting.partition("=") for setting in settings)}
    rows = list(csv.DictReader((RUN / "0" / "metrics.csv").open()))
    times = [json.loads(line)["seconds"] for line in (RUN / "0" / "times.jsonl").read_text().splitlines()]
    front = json.loads((RUN / "0" / "front.json").read_text())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    lines = [f"{device}, torch {torch.__version__}, {runs} runs at once; of the first:", " ".join(settings), ""]
    lines += ["step  evaluations  hypervolume  best error %    " + "  ".join(f"{name:>8}" for name in ACTIVITIES)]
    for row, seconds in zip(rows, times, strict=True):
        spent = "  ".join(f"{seconds.get(name, 0.0):7.1f}s" for name in ACTIVITIES)
        lines.append(
            f"{row['step']:>4}{row['evaluations']:>13}{float(row['hypervolume']):>13.4f}"
            f"{float(row['best_top1_error']):>14.2f}    {spent}"
        )
    lines += ["", "front: FLOPs (M), error % when searched, with the final weights, and on the test images"]
    for member in front["front"]:
        errors = [100 - member[name]["top1"] for name in ("metrics", "final", "test")]
        lines.append(f"{member['objectives']['flops']:>8.2f}" + "".join(f"{error:>10.2f}" for error in errors))
    total = {name: sum(seconds.get(name, 0.0) for seconds in times) for name in ACTIVITIES}
    whole = sum(total.values())
    lines += ["", "share of the time: " + ", ".join(f"{name} {value / whole:.1%}" for name, value in total.items())]
    if busy.samples:
        end = (RUN / "0" / "front.json").stat().st_mtime
        during = [value for stamp, value in busy.samples if end - whole <= stamp <= end]
        lines.append(
            f"the driver saw the GPU compute in {np.mean(np.array(during) > 0):.1%} of {len(during)} samples, "
            f"with a mean utilisation of {np.mean(during):.1f} %"
        )
    epochs = int(values["training.epochs"])
    batch_size = int(values["training.batch_size"])
    images = n_images // batch_size * batch_size
    later = [seconds["train"] for seconds in times[1:]]
    lines.append(f"images a second: {epochs * images * len(later) / sum(later):,.0f} in this run's training")
    return "\n".join(lines)


ACTIVITIES = ("fit", "search", "select", "train", "evaluate")


def picture(path: Path) -> None:
    rows = list(csv.DictReader((RUN / "0" / "metrics.csv").open()))
    members = json.loads((RUN / "0" / "front.json").read_text())["front"]
    figure = Figure(figsize=(9.6, 4.2), dpi=144, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([int(r["evaluations"]) for r in rows], [float(r["hypervolume"]) for r in rows], color="#c8501e")
    left.set_xlabel("evaluations")
    left.set_ylabel("hypervolume (validation)")
    flops = [member["objectives"]["flops"] for member in members]
    for name, label, color in (
        ("metrics", "validation, when searched", "#9a9a9a"),
        ("final", "validation, final weights", "#2b6ca3"),
        ("test", "test, final weights", "#c8501e"),
    ):
        right.plot(flops, [m[name]["top1"] for m in members], "o-", markersize=3, label=label, color=color)
    right.set_xlabel("millions of multiply-adds")
    right.set_ylabel("top-1 accuracy, %")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true", help="few images and iterations, for a CPU")
    parser.add_argument("--runs", type=int, default=1, help="how many run at once, with seeds from 0 on")
    parser.add_argument("--output", type=Path, default=HERE, help="where the text and the picture go")
    parser.add_argument("overrides", nargs="*", help="settings for launch.py")
    arguments = parser.parse_intermixed_args()
    settings = [*DATA, f"dataset.path={arguments.folder.resolve()}", *SUPERNET]
    settings += [*(SMALL if arguments.small else GPU), *arguments.overrides]
    busy = search(settings, arguments.runs)
    dataset, supernet, batch_size = parts(settings)
    name = "nat_cifar10_small" if arguments.small else "nat_cifar10"
    text = report(busy, len(dataset.split("train")), settings, arguments.runs)
    print(text, flush=True)
    picture(arguments.output / f"{name}.png")
    (arguments.output / f"{name}.txt").write_text(text + "\n")
    for kind, value in speeds(dataset, supernet, batch_size).items():
        text += f"\n                 {value:,.0f} of the largest subnet alone, {kind}"
    print(text.rpartition("a second:")[2])
    (arguments.output / f"{name}.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
