"""What Weights & Biases costs a run: the demo with tracker=wandb (offline) against the demo with tracker=csv.

    python benchmarks/tracking.py [--repeats 3]

The supernet is trained once, before anything is timed; then both run by turns, each in a process of its own, by the
clock and in seconds of a core, those of wandb's own process included. What is lost is the difference of the best times.
Writes ``tracking.txt`` beside this file.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def demo(folder: Path, tracker: str, name: str) -> tuple[float, float, str]:
    """Run the demo; return seconds by the clock, seconds of a core, and the line about tracking."""
    words = ["experiment=demo", f"tracker={tracker}", f"paths.run={name}", "paths.cache=cache", "device=cpu"]
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *words], cwd=folder, check=True, capture_output=True, text=True
    )
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = next(line for line in done.stdout.splitlines() if line.startswith("Tracking:"))
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    lines = [f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; the demo, supernet trained before"]
    times: dict[str, list[tuple[float, float]]] = {"csv": [], "wandb": []}
    with tempfile.TemporaryDirectory() as place:
        demo(Path(place), "csv", "first")
        for repeat in range(repeats):
            for tracker, found in times.items():
                seconds, cores, said = demo(Path(place), tracker, f"{tracker}_{repeat}")
                found.append((seconds, cores))
                lines.append(f"{tracker:6s} {seconds:7.2f} s {cores:7.2f} s of a core   {said}")
                print(lines[-1], flush=True)
    (csv, csv_cores), (wandb, wandb_cores) = (
        (min(seconds for seconds, _ in found), min(cores for _, cores in found)) for found in times.values()
    )
    lines.append(
        f"best of {repeats}: wandb {wandb:.2f} s, csv {csv:.2f} s: {100 * (wandb / csv - 1):+.2f} %; "
        f"{wandb_cores - csv_cores:+.2f} s of a core"
    )
    text = "\n".join(lines) + "\n"
    print(lines[-1])
    Path(__file__).with_suffix(".txt").write_text(text)


if __name__ == "__main__":
    main()
