"""Ten seeds of the demo on SLURM, while everything dies that can: ``benchmarks/faults.md`` is what this prints.

    sh tools/with_slurm.sh python benchmarks/faults.py

The same sweep runs once more without SLURM, workers and faults; the archives must be equal byte for byte.
``tests/test_faults.py`` does the same with a smaller budget.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import cluster
from tests.faults import DisturbedSweep

DEMO = ("experiment=demo", "paths.run=${paths.outputs}/demo/seed_${seed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"), help="where the table goes")
    parser.add_argument("--seeds", type=int, default=10, help="runs of the sweep")
    arguments = parser.parse_args()
    reason = cluster.missing()
    if reason is not None:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder:
        sweep = DisturbedSweep(Path(folder), DEMO, arguments.seeds)
        began = time.monotonic()
        with cluster.alone():
            sweep.disturb()
            done = sweep.finish()
        took = time.monotonic() - began
        finished = done.returncode == 0 and f"{arguments.seeds} runs: {arguments.seeds} finished" in done.stdout
        equal = sweep.archives() == sweep.undisturbed()
        identities = all(len(ids) == 1 for ids in sweep.wandb_ids().values())
        where = f"{cluster.slurm('sinfo', '-V')}, one node, two jobs at a time, `executor=process`"
        lines = [
            "# Faults survived",
            "",
            f"`benchmarks/faults.py`: {arguments.seeds} seeds of `experiment=demo` on SLURM ({where}), "
            f"{os.cpu_count()} cores, {took / 60:.0f} minutes.",
            "",
            sweep.table(),
            "",
            f"After the same command once more: {'all' if finished else 'NOT ALL'} runs finished; "
            f"archives {'equal byte for byte to' if equal else 'DIFFERENT FROM'} those of undisturbed runs; "
            f"{'each run is one run of wandb' if identities else 'NOT EACH RUN IS ONE RUN of wandb'}.",
            "",
        ]
    print("\n".join(lines))
    if not (finished and equal and identities):
        sys.exit(done.stdout + done.stderr)
    arguments.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
