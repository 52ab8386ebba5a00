"""Cost of architectures by table, against building each subnet and tracing it.

    python benchmarks/cost.py

The baseline is what NSGANetV2's code does for every candidate: set the architecture in the dynamic network, cut
the subnet out with its weights, copy it, and trace the copy with torchprofile. It is timed on a few architectures,
one by one; tables are timed on all of them at once. Both count the same networks: the script stops if the table
differs from a count by hooks on the baseline's subnets. Writes ``cost.txt`` beside this file.
"""

import argparse
import copy
import platform
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import yaml
from torchprofile import profile_macs

from nas.plotting.architecture import layers_of
from nas.supernet.base import Supernet

HERE = Path(__file__).parent
NAMES = ("ofa_w10", "ofa_w12", "proxyless", "ofa_resnet50", "attentivenas")


def make(name: str) -> Supernet:
    """Return the supernet of this word on the command line, with random weights."""
    settings = yaml.safe_load((HERE.parent / "conf" / "supernet" / f"{name}.yaml").read_text())
    module, _, kind = settings.pop("_target_").rpartition(".")
    ignored = {"defaults", "_partial_", "checkpoint"}
    settings = {key: value for key, value in settings.items() if key not in ignored}
    supernet: Supernet = getattr(import_module(module), kind)(
        n_classes=1000, cache=HERE, checkpoint="random", **settings
    )
    return supernet


def traced(supernet: Supernet, genomes: np.ndarray) -> float:
    """Return the seconds an architecture takes when its subnet is built and traced, as the published code does."""
    seconds = 0.0
    for genome in genomes:
        architecture = supernet.space.decode(genome)
        start = time.perf_counter()
        subnet = supernet.extract(architecture)
        side = architecture.config["r"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            profile_macs(copy.deepcopy(subnet), torch.randn(1, 3, side, side))
        seconds += time.perf_counter() - start
        counted = sum(layer.macs for layer in layers_of(subnet, side))
        assert counted == supernet.costs()["macs"](genome[None])[0]
    return seconds / len(genomes)


def looked_up(supernet: Supernet, genomes: np.ndarray) -> tuple[float, float]:
    """Return the seconds that the table takes to build, and those for an architecture of ``genomes``."""
    start = time.perf_counter()
    table = supernet.costs()["macs"]
    built = time.perf_counter() - start
    table(genomes[:10])
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        table(genomes)
        rounds.append(time.perf_counter() - start)
    return built, float(np.median(rounds)) / len(genomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=10_000, help="looked up")
    parser.add_argument("--traced", type=int, default=20, help="built and traced")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [f"{'':>12}{'traced':>14}{'by table':>16}{'ratio':>10}{'table built':>14}"]
    for name in NAMES:
        supernet = make(name)
        genomes = supernet.space.sample(arguments.architectures, np.random.default_rng(0))
        built, each = looked_up(supernet, genomes)
        slow = traced(supernet, genomes[: arguments.traced])
        lines.append(f"{name:>12}{1e3 * slow:>11.1f} ms{1e6 * each:>13.2f} µs{slow / each:>10,.0f}{built:>12.2f} s")
    lines += [
        "",
        f"an architecture, one thread; by table: {arguments.architectures:,} at once (median of 5), "
        f"traced: {arguments.traced} one by one",
        f"(torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()})",
    ]
    text = "\n".join(lines)
    print(text)
    (HERE / "cost.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
