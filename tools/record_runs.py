"""Records what a table of small runs leaves, so that a change of the code can be shown to keep their results.

    python tools/record_runs.py before.json                        # before the change, about 15 minutes on two cores
    python tools/record_runs.py after.json --against before.json   # after it: exit code 1 if anything differs
    python tools/record_runs.py part.json --only joint,greedy      # these rows and those that they build on

Each row is a command line of ``launch.py`` in one folder, so that rows can use the runs of earlier rows. A record holds
exit codes, printed lines, and a digest of each file, without times, hosts and process numbers. It is for one machine:
on another one last digits differ.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import yaml

ROOT = Path(__file__).resolve().parent.parent
SMALL = (
    *("tracker=csv", "device=cpu", "paths.cache=cache", "training.epochs=2", "training.warmup_epochs=1"),
    *("supernet.depths=[1,2]", "supernet.widths=[0.5,1.0]", "supernet.kernel_sizes=[3]", "dataset.resolutions=[8]"),
    *("algorithm.n_doe=24", "algorithm.iterations=2", "algorithm.n_iter=4", "evaluator.recalibration_images=64"),
)
JOINT = (
    *("algorithm=encas_joint", "supernet=[tiny,tiny_wide]", "tracker=csv", "device=cpu", "paths.cache=cache"),
    *("dataset.resolutions=[8]", "algorithm.n_doe=10", "algorithm.n_iter=8", "algorithm.iterations=2"),
    *("training.member.epochs=2", "training.member.averaged_iterations=2", "training.member.initial.epochs=1"),
    *("training.member.initial.warmup_epochs=0", "evaluator.networks.recalibration_images=64"),
    *(f"surrogate.{part}.members=20" for part in ("member", "combining", "cost")),
    "optimizer.evaluations=200",
)
NAT = ("algorithm=nat", "training.epochs=1", "training.initial.epochs=2", "training.initial.warmup_epochs=1")
PUBLISHED = (
    *("supernet.checkpoint=random", "supernet.resolutions=[64]", "training=none", "algorithm=random"),
    *("algorithm.n_doe=3", "algorithm.iterations=0", "evaluator.recalibration_images=16"),
    *("tracker=csv", "device=cpu", "paths.cache=cache", "dataset=imagefolder", "dataset.path=photos"),
    *("dataset.size=64", "dataset.vld_size=12", "dataset.augmentation.workers=0"),
)
CASCADES = ("dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache", "pool=runs")
SURROGATES = ("rbf", "pysot_rbf", "rbf_ensemble", "gp", "additive_gp", "mlp", "cart", "adaptive")
QUICK = {"mlp": ("surrogate.epochs=5",), "cart": ("surrogate.trees=50",), "rbf_ensemble": ("surrogate.members=40",)}

VOLATILE = ("times.jsonl", "times.parquet", "times.csv", "status.json", "run.json", "run.log", ".lease", "hydra.yaml")
"""Files that say where and when a run was."""


@dataclass(frozen=True)
class Row:
    """One command line of the table.

    Attributes:
        name: of the row.
        words: of the command line.
        folders: what the command writes, relative to the folder that all rows share.
        needs: rows whose results it uses.
        kill_at: file and text; the process is killed once the file holds the text, and the command typed again.
    """

    name: str
    words: tuple[str, ...]
    folders: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    kill_at: tuple[str, str] | None = None


def search(name: str, *words: str, base: tuple[str, ...] = SMALL, needs: tuple[str, ...] = ()) -> Row:
    """Return the row of a search in a folder of its name."""
    return Row(name, (*base, *words, f"paths.run={name}"), (name,), needs)


def killed(name: str, step: int, base: Row) -> Row:
    """Return a search that is killed once a step is in its archive, and goes on."""
    words = tuple(word for word in base.words if not word.startswith("paths.run="))
    return Row(name, (*words, f"paths.run={name}"), (name,), base.needs, (f"{name}/archive.jsonl", f'"step":{step},'))


def rows() -> list[Row]:
    """Return the table."""
    alone, nat, joint = search("alone"), search("nat", *NAT), search("joint", base=JOINT)
    table = [alone, search("random", "algorithm=random"), nat, joint]
    table += [search(f"surrogate_{s}", f"surrogate={s}", *QUICK.get(s, ()), *_published()) for s in SURROGATES]
    small = ("optimizer.population=20", "optimizer.generations=5")
    table += [search(f"optimizer_{o}", f"optimizer={o}", "surrogate=gp", *small) for o in ("nsga2",)]
    directions = ("optimizer.directions=20", "optimizer.population=20", "optimizer.generations=5")
    table += [search("optimizer_nsga3", "optimizer=nsga3", "surrogate=gp", *directions)]
    table += [search("optimizer_mo_gomea", "optimizer=mo_gomea", "surrogate=gp", "optimizer.evaluations=300")]
    table += [search("optimizer_random", "optimizer=random", "surrogate=gp")]
    table += [search(f"selector_{s}", f"selector={s}", *_published()) for s in ("subset", "reference", "hvi")]
    table += [search("objectives", "sec_obj=[flops,params]"), search("constraints", "constraints.flops.max=0.05")]
    table += [search("tuned", "evaluator=tuned", "evaluator.tuning.epochs=1", "algorithm.iterations=1")]
    table += [search("processes", "executor=process", "executor.cpu_workers=2")]
    table += [search("files", "dataset=imagefolder", "dataset.path=photos", "dataset.size=16", "dataset.vld_size=12")]
    table += [search(f"supernet_{s}", f"supernet={s}") for s in ("tiny_plain", "tiny_wide")]
    published = ("ofa_w10", "ofa_w12", "proxyless", "attentivenas", "alphanet", "ofa_resnet50", "nat")
    table += [search(f"supernet_{s}", f"supernet={s}", base=PUBLISHED) for s in published]
    table += _cascades() + _after_the_search()
    table += [killed("killed", 1, alone), killed("killed_nat", 1, nat), killed("killed_joint", 0, joint)]
    return table + _messages()


def _published() -> tuple[str, ...]:
    """Return what makes the default search the published one."""
    return ("optimizer=nsga2", "optimizer.population=20", "optimizer.generations=5", "selector=subset")


def _cascades() -> list[Row]:
    of_alone, of_joint = (*CASCADES, "pool.runs=[alone]"), (*CASCADES, "pool.runs=[joint]")
    encas = ("algorithm=encas", "optimizer.evaluations=2000")
    return [
        search("encas", *encas, base=of_alone, needs=("alone",)),
        search("ensemble", *encas, "space.search_goal=ensemble", base=of_alone, needs=("alone",)),
        search("greedy", "algorithm=greedy", base=of_alone, needs=("alone",)),
        search("encas_nsga2", "algorithm=encas", "optimizer=nsga2", base=of_alone, needs=("alone",)),
        search("encas_of_joint", *encas, base=of_joint, needs=("joint",)),
    ]


def _after_the_search() -> list[Row]:
    found = []
    for run in ("alone", "nat", "encas", "joint", "encas_of_joint"):
        needs = (run,) if run != "encas_of_joint" else ("joint", run)
        common = (f"run={run}", "device=cpu", "paths.cache=cache")
        found.append(Row(f"select_{run}", ("task=select", *common, "n=2"), (f"{run}/selected",), needs))
        found.append(Row(f"validate_{run}", ("task=validate", *common), (f"{run}/validation",), needs))
        formats = ("onnx", "torchscript", "torch_export") if run in ("alone", "encas") else ("onnx",)
        found += [
            Row(f"{kind}_{run}", ("task=export", *common, f"format={kind}"), (f"{run}/export",), needs)
            for kind in formats
        ]
    tuned = ("task=finetune", "run=alone", "device=cpu", "paths.cache=cache", "tracker=csv", "finetuning.epochs=2")
    found.append(Row("finetune", (*tuned, "paths.run=finetuned"), ("finetuned",), ("alone",)))
    found.append(
        Row(
            "profile",
            ("task=profile", "run=alone", "arch=0", "detail=true", "device=cpu", "paths.cache=cache"),
            (),
            ("alone",),
        )
    )
    found.append(
        Row("report", ("task=report", "runs=[alone,random]", "path=report"), ("report/data",), ("alone", "random"))
    )
    return found


def _messages() -> list[Row]:
    wrong = {
        "choice": ("surrogate=rbff",),
        "key": ("algorithm.n_dao=4",),
        "value": ("algorithm.n_doe=many",),
        "range": ("seed=-1",),
        "budget": ("surrogate=rbf", "algorithm.n_doe=3"),
        "missing": ("dataset=imagefolder",),
        "absent": ("dataset=imagefolder", "dataset.path=absent"),
        "launcher": ("hydra/launcher=slurm",),
        "several": ("seed=1,2",),
        "shared": ("-m", "seed=1,2", "paths.run=one"),
        "run": ("task=select", "run=absent"),
        "unfinished": ("task=export", "run=photos"),
        "member": ("task=validate", "run=alone", "arch=99", "paths.cache=cache"),
        "constraint": ("constraints.flops.max=0.000001",),
        "checkpoint": ("supernet=ofa_w10", "supernet.checkpoint=absent.pth"),
        "other": (*SMALL, "algorithm.n_doe=25", "paths.run=alone"),
    }
    needs = {"member": ("alone",), "other": ("alone",)}
    return [Row(f"message_{name}", words, (), needs.get(name, ())) for name, words in wrong.items()]


def make_photos(folder: Path) -> None:
    """Write 96 images of four classes: one bright quarter each on noise."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in range(4):
        (folder / f"class_{label}").mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 120, (20, 20, 3), dtype=np.uint8)
            pixels[10 * (label // 2) :, 10 * (label % 2) :][:10, :10] += 120
            Image.fromarray(pixels).save(folder / f"class_{label}" / f"{i}.png")


def run(row: Row, folder: Path) -> dict[str, Any]:
    """Run one row and return its record."""
    command = [sys.executable, str(ROOT / "launch.py"), *row.words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "WANDB_MODE": "offline"}
    if row.kill_at is not None:
        _kill(command, folder, environment, *row.kill_at)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    files = {
        str(path.relative_to(folder)): digest(path, folder)
        for name in row.folders
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and path.name not in VOLATILE
    }
    printed = [plain(line, folder) for line in (done.stdout + done.stderr).splitlines()]
    return {"code": done.returncode, "printed": [line for line in printed if line], "files": files}


def _kill(command: list[str], folder: Path, environment: dict[str, str], file: str, text: str) -> None:
    """Start a command and kill its process once the file holds the text."""
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if (folder / file).exists() and text in (folder / file).read_text():
                process.send_signal(signal.SIGKILL)
            time.sleep(0.01)
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{' '.join(command)} ended before it was killed, with {process.returncode}")


def plain(line: str, folder: Path) -> str:
    """Return a printed line without what differs from run to run; nothing of a line that is about time alone."""
    if line.startswith("Tracking: ") or "images/s" in line:
        return ""
    return re.sub(r"\b\d+(\.\d+)? ?(ms|s|min|h|MB)\b", "SIZE", _moved(line, folder))


def digest(path: Path, folder: Path) -> str:
    """Return a digest of what a file says.

    Of pictures it is only that they are there, of archives of tensors what they hold, of tables and JSON all but times,
    of settings all but the modules of classes.
    """
    content = path.read_bytes()
    if path.suffix in (".png", ".pdf"):
        content = b"a picture"
    elif path.suffix in (".onnx", ".pt", ".pt2", ".torchscript"):
        content = _tensors(path)
    elif path.suffix == ".csv":
        content = _without(_moved(path.read_text(), folder), "seconds")
    elif path.suffix == ".json":
        content = _without_modules(_moved(json.dumps(_without_times(json.loads(content))), folder))
    elif path.suffix == ".yaml":
        content = _without_modules(json.dumps(_without_times(yaml.safe_load(content)), sort_keys=True, default=str))
    elif path.suffix == ".parquet":
        content = _moved(repr(pyarrow.parquet.read_table(path).to_pydict()), folder).encode()
    elif path.suffix in (".md", ".html", ".txt", ".svg"):
        content = plain(path.read_text(), folder).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _moved(text: str, folder: Path) -> str:
    return text.replace(str(folder), "FOLDER").replace(str(ROOT), "ROOT")


def _without_modules(text: str) -> bytes:
    """Return text with classes by their names alone, so that they may move or be renamed."""
    sys.path.insert(0, str(ROOT))
    from nas.run.folder import MOVED_CLASSES

    for then, now in MOVED_CLASSES.items():
        text = re.sub(rf"\b{re.escape(then)}\b", now, text)
    return re.sub(r"\bnas(?:\.\w+)+\.([A-Z]\w*)", r"\1", text).encode()


def _tensors(path: Path) -> bytes:
    """Return what an exported network answers, or the tensors of a file of weights."""
    import numpy as np
    import torch

    images = np.random.default_rng(0).random((4, 3, 16, 16)).astype(np.float32)
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        return b"".join(np.ascontiguousarray(a).tobytes() for a in session.run(None, {"images": images}))
    if path.suffix == ".pt2":
        answers = torch.export.load(path).module()(torch.from_numpy(images))
    elif path.suffix == ".torchscript":
        answers = torch.jit.load(path)(torch.from_numpy(images))
    else:
        answers = torch.load(path, weights_only=True)
    return repr(torch.utils._pytree.tree_map_only(torch.Tensor, lambda t: t.tolist(), answers)).encode()


def _without(table: str, word: str) -> bytes:
    reader = csv.DictReader(io.StringIO(table))
    kept = [name for name in reader.fieldnames or [] if word not in name]
    return json.dumps([[row[name] for name in kept] for row in reader]).encode()


def _without_times(value: Any) -> Any:
    volatile = ("seconds", "latency_ms", "images_per_second", "time", "host", "versions", "peak_memory_mib", "git")
    volatile += ("_partial_", "path", "run", "measured_on", "size_mb")
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in volatile}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def chosen(names: list[str]) -> list[Row]:
    """Return the rows of these names, all without any, and those that they need, in the table's order."""
    table = rows()
    wanted = set(names) or {row.name for row in table}
    unknown = wanted - {row.name for row in table}
    if unknown:
        raise SystemExit(f"no row {', '.join(sorted(unknown))}; rows: {', '.join(row.name for row in table)}")
    for row in reversed(table):
        if row.name in wanted:
            wanted |= set(row.needs)
    return [row for row in table if row.name in wanted]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return a line for each thing that differs in the rows that both records have."""
    found = []
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        for key in ("code", "printed"):
            if old[key] != new[key]:
                found.append(f"{name}: {key}: {old[key]} -> {new[key]}")
        for file in sorted(old["files"].keys() | new["files"].keys()):
            if old["files"].get(file) != new["files"].get(file):
                found.append(
                    f"{name}: {file}: {old['files'].get(file, 'absent')} -> {new['files'].get(file, 'absent')}"
                )
    return sorted(found)


def main() -> None:
    """Record the table, and compare it with an earlier record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, help="file to write")
    parser.add_argument("--against", type=Path, help="earlier record to compare with")
    parser.add_argument("--only", default="", help="names of rows, with commas")
    parser.add_argument("--keep", type=Path, help="folder to run in, which stays; default: a temporary one")
    asked = parser.parse_args()
    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        make_photos(folder / "photos")
        for row in chosen([name for name in asked.only.split(",") if name]):
            start = time.perf_counter()
            record[row.name] = run(row, folder)
            took = time.perf_counter() - start
            print(
                f"{row.name}: exit {record[row.name]['code']}, {len(record[row.name]['files'])} files, {took:.0f} s",
                flush=True,
            )
            asked.record.write_text(json.dumps(record, indent=1))
    if asked.against is not None:
        found = differences(json.loads(asked.against.read_text()), record)
        print("\n".join(found) if found else f"{len(record)} rows: equal")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
