"""What messages advise is typed: it must be accepted, or lead to the next thing that is missing."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas.cli.command import CommandLine
from nas.cli.compose import compose_jobs
from nas.cli.launching import choose_launcher
from nas.cli.main import check_jobs
from nas.cli.naming import register_resolvers
from nas.errors import UserError
from tests.cascades import write_pool
from tests.marks import slow_but
from tests.quick_search import write_predictor

CONF = Path(__file__).parent.parent.parent / "conf"
FOLDERS = ("my photos (1)", "Peter's photos", "a,b", "a(1)", 'x "y" $z', "c=d [e]", "{a}")
JOINT = ("algorithm=encas_joint", "supernet=[tiny,tiny_wide]")
PREDICTOR = ("evaluator=predictor", "evaluator.checkpoint=predictor.pth", "dataset=none", "training=none")
CUT = ("supernet=ofa_w10", "supernet.checkpoint=random", "supernet.resolutions=[160,208]")
STORED = ("pool=files", "pool.folders=[stored]", "dataset=none")
NET = {"ks": [3, 5, 3], "e": [2, 4, 1], "d": [1, 1, 1], "w": 1.0}
MODEL = ("task=finetune", "model=timm:mobilenetv3_small_050", "weights=random")

CASES = {
    # name: the line, and what the message advises with what it stands for where that is not the word itself
    "no path": (["dataset=imagefolder"], {"dataset.path=VALUE": "dataset.path=photos"}),
    "sweep without -m": (["seed=0,1"], {"-m seed=0,1": None}),
    "launcher without -m": (["hydra/launcher=local"], {"-m hydra/launcher=local": None}),
    "detach without -m": (["detach=true"], {"-m detach=true": None}),
    "several choices": (["surrogate=[rbf,gp]"], {"-m surrogate=rbf,gp": None}),
    "shared folder": (["-m", "seed=0,1", "paths.run=x"], {"paths.run=x/${seed}": None}),
    "shared folder, several keys": (
        ["-m", "seed=0,1", "surrogate=rbf,gp", "paths.run=x"],
        {"paths.run=x/${seed}/${hydra:runtime.choices.surrogate}": None},
    ),
    "sweep's folders": (["-m", "seed=0,1", "hydra.sweep.subdir=x"], {"paths.run=outputs/mine/${seed}": None}),
    "published word": (["sec_obj=cpu"], {"sec_obj=[latency]": None}),
    "published word of flops": (["sec_obj=macs"], {"sec_obj=[flops]": None}),
    "published word of a surrogate": (["surrogate=as", "algorithm.n_doe=60"], {"surrogate=adaptive": None}),
    "too few for the surrogate": (["surrogate=rbf", "algorithm.n_doe=5"], {"algorithm.n_doe=24": None}),
    "candidates": (["surrogate=adaptive", "surrogate.candidates=[]"], {"surrogate.candidates=[rbf,gp,cart]": None}),
    "no objective": (["~sec_obj.flops"], {"sec_obj=[flops]": None}),
    "bound without its objective": (["constraints.latency_table.max=3"], {"sec_obj=latency_table": None}),
    "weights that adapt": (["training=nat"], {"algorithm=nat": None, "training=none": None}),
    "weights that do not adapt": (
        ["algorithm=nat", "training=none"],
        {"training=nat": None, "algorithm.reevaluate=false": None},
    ),
    "joint training of one": (["training=joint"], {"supernet=[a,b]": " ".join(JOINT), "training=supernet": None}),
    "joint evaluation of one": (["evaluator=joint"], {"supernet=[a,b]": " ".join(JOINT), "evaluator=subnet": None}),
    "one network for several": ([*JOINT, "evaluator=subnet"], {"evaluator=joint": None}),
    "one training for several": (
        [*JOINT, "training=nat"],
        {
            "training=joint": None,
            "training=none": "training=none algorithm.reevaluate=false",
            "algorithm.reevaluate=false": "training=none algorithm.reevaluate=false",
        },
    ),
    "another surrogate for cascades": ([*JOINT, "surrogate=gp"], {"surrogate=cascade": None}),
    "latency of cascades": ([*JOINT, "sec_obj=latency"], {"sec_obj=[flops]": None}),
    "known costs of cascades": (
        [*JOINT, "sec_obj=params"],
        {"sec_obj=[flops]": None, "sec_obj=[flops,params]": None},
    ),
    "cascades' surrogate for one": (
        ["surrogate=cascade"],
        {"supernet=[alphanet,ofa_w12]": " ".join(JOINT)},
    ),
    "cascades without a pool": (["algorithm=encas"], {f"pool={name}": None for name in ("runs", "timm", "files")}),
    "cascades' optimizer of another space": (
        ["algorithm=encas", "space=supernet"],
        {"space=cascade": "space=cascade pool=runs", "pool=runs": "space=cascade pool=runs", "algorithm=msunas": None},
    ),
    "no images": (["dataset=none"], {"evaluator=predictor": " ".join((*PREDICTOR, *CUT))}),
    "process that does nothing": ([*PREDICTOR, *CUT, "executor=process"], {"executor=serial": None}),
    "outputs of no networks": (
        [*PREDICTOR, *CUT, "store_outputs=true"],
        {"evaluator=subnet": "evaluator=subnet dataset=digits"},
    ),
    "predictor of another family": (
        [*PREDICTOR, "supernet=tiny"],
        {"supernet=ofa_w12": "supernet=ofa_w12 supernet.checkpoint=random supernet.resolutions=[160,208]"},
    ),
    "disturbed measurements": (
        ["sec_obj=latency", "executor=process", "executor.cpu_workers=2"],
        {"executor.cpu_workers=1": None, "executor=serial": None, "sec_obj=latency_table": None},
    ),
    "fewer individuals than directions": (
        ["optimizer=nsga3", "optimizer.population=20", "optimizer.directions=30"],
        {"optimizer.population=30": None},
    ),
    "unreadable image": (
        ["dataset=imagefolder", "dataset.path=broken", "dataset.size=8", "dataset.resolutions=[8]"],
        {"dataset.corrupt=skip": None},
    ),
    "skipping without looking": (
        ["dataset=imagefolder", "dataset.path=photos", "dataset.storage=files", "dataset.corrupt=skip"],
        {"dataset.storage=cache": None},
    ),
    "what a model is trained on": ([*MODEL, "r=32"], {"dataset=NAME": "dataset=digits finetuning.new_classifier=true"}),
    "what a model is measured on": (
        ["task=validate", *MODEL[1:], "r=32"],
        {"dataset=NAME": "dataset=digits"},
    ),
    "SLURM's launcher": (["-m", "seed=0,1", "hydra/launcher=slurm"], {"hydra/launcher=local": None}),
    "cascades of another space": (
        ["evaluator=cascade", *STORED],
        {"space=cascade": "space=cascade algorithm=encas", "space=gap_cascade": "space=gap_cascade algorithm=greedy"},
    ),
    "greedy cascades of another space": (
        ["algorithm=greedy", "space=cascade", *STORED],
        {"space=gap_cascade": None},
    ),
    "cascades' surrogate of another search": (
        ["supernet=[tiny,tiny_wide]", "surrogate=cascade"],
        {"algorithm=encas_joint": " ".join(JOINT)},
    ),
    "weight of no teacher": (
        [*MODEL, "r=32", "dataset=digits", "finetuning.distillation=1"],
        {
            "finetuning.teacher=supernet": (
                "finetuning.teacher=timm:mobilenetv3_small_050 finetuning.teacher_weights=random"
            )
        },
    ),
    "teacher without its weight": (
        [*MODEL, "r=32", "dataset=digits", "finetuning.teacher=timm:mobilenetv3_small_050"],
        {"finetuning.distillation=1": "finetuning.distillation=1 finetuning.teacher_weights=random"},
    ),
    "weights of no teacher": (
        [*MODEL, "r=32", "dataset=digits", "finetuning.teacher_weights=random"],
        {"finetuning.teacher=timm:NAME": "finetuning.teacher=timm:mobilenetv3_small_050 finetuning.distillation=1"},
    ),
    "another resolution": (
        ["task=validate", "model=net.subnet", "weights=random", "supernet=tiny", "dataset=digits", "r=44"],
        {"supernet.resolutions=[44]": None},
    ),
}

FAST = {"sweep without -m", "sweep's folders", "published word", "shared folder, several keys"}
FAST |= {"weights that do not adapt", "joint training of one"}

QUOTED = re.compile(r"""("[a-z_.]+=(?:[^"\\]|\\.)*")|('[a-z_.]+=[^']*\$\{[^']*')""")
WORD = re.compile(r"(?:launch\.py (-m) )?([a-z_]+(?:[./][a-z_0-9]+)*=(?:\[[^\]]*\]|[^\s;:)\[,]|[,:](?=\S))+)")


def quoted_words(message):
    """Return the words that a message gives in quotes, as a shell reads them."""
    lines = [["sh", "-c", f"printf %s {found[0]}"] for found in QUOTED.finditer(message)]
    return [subprocess.run(line, capture_output=True, text=True, check=True).stdout for line in lines]


def advised(message, line):
    """Return the words that a message gives beside those of the line itself, ``-m`` before those that need it."""
    words = quoted_words(message)
    for flag, word in WORD.findall(QUOTED.sub("", message)):
        if flag or word not in line:
            words.append(f"{flag} {word}".strip())
    return words


def typed(line, words):
    """Return a line in which words take the place of those for the same key."""
    keys = {re.split("=", word)[0] for word in words}
    kept = [word for word in line if not any(re.match(rf"[+~]?{re.escape(key)}[=.]", f"{word}=") for key in keys)]
    return [*kept, *words]


def refusal(words):
    """Return what is wrong with a command line, ``None`` if nothing is."""
    line = CommandLine.parsed(["tracker=csv", "paths.cache=cache", "device=cpu", *words])
    try:
        jobs = compose_jobs(line, CONF)
        choose_launcher(jobs)
        check_jobs(jobs)
    except UserError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of images under many names, and OFA's predictor."""
    folder = tmp_path_factory.mktemp("advice")
    rng = np.random.default_rng(0)
    for name in ("photos", "broken", *(f"folders/{name}" for name in FOLDERS)):
        for label, number in np.ndindex(2, 12):
            path = folder / name / "ab"[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    (folder / "broken" / "a" / "0.png").write_bytes(b"no image")
    (folder / "net.subnet").write_text(json.dumps(NET))
    write_pool(folder / "stored")
    write_predictor(folder / "predictor.pth")
    return folder


@pytest.mark.parametrize("case", slow_but(FAST, CASES))
def test_advice_works_when_it_is_typed(case, place, monkeypatch):
    line, advice = CASES[case]
    monkeypatch.setattr("shutil.which", lambda _: None)  # SLURM's commands are not here, wherever the tests run
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    register_resolvers()
    message = refusal(line)
    assert message is not None
    assert set(advised(message, line)) == advice.keys(), message
    for words, meant in advice.items():
        flags = ["-m"] if words.startswith("-m ") else []
        meant_words = [words.removeprefix("-m ")] if meant is None else meant.split()
        kept = [word for word in line if not message.startswith(f"{word.partition('=')[0]} is not used")]
        next_message = refusal([*flags, *typed(kept, meant_words)])
        assert next_message is None or re.match(r"[\w.]+ must be given: add [\w.]+=VALUE", next_message), next_message


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_any_name_can_be_typed(name, place, monkeypatch):
    monkeypatch.chdir(place / "folders")
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    line = ["dataset=imagefolder", f"dataset.path={name}", "dataset.resolutions=[8]", "evaluator.batch_size=8"]
    (word,) = quoted_words(refusal(line))
    assert refusal([*line[:1], word, *line[2:]]) is None


TOLD = {"UserError", "RunError", "warning"}
ASSIGNED = re.compile(r"(?<![\w.{}/'-])([a-z_]+(?:[./][a-z_0-9]+)*)=(\[[^\]]*\]|[^\s;:)\[,'\"]*)")


def text_of(node):
    """Return a message of the source, ``{}`` where it names a value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(map(text_of, node.values)) if isinstance(node, ast.JoinedStr) else "{}"


def assignments():
    """Yield each ``key=value`` of a message in the source, and where it stands."""
    for path in sorted((CONF.parent / "nas").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in TOLD:
                for key, value in ASSIGNED.findall(" ".join(map(text_of, node.args))):
                    yield key, value, f"{path.name}:{node.lineno}"


def keys_of(node, prefix=""):
    """Yield every key of settings, with those above it."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from keys_of(value, f"{prefix}{key}.")


def known_keys():
    """Return every key of ``conf``: of groups with the group's name, of tasks as they are."""
    keys = {"hydra/launcher", "hydra.sweep.dir"}
    for path in CONF.rglob("*.yaml"):
        group = path.parent.relative_to(CONF).as_posix()
        prefix = "" if group in (".", "task") else f"{group.replace('/', '.')}."
        keys |= {group, *keys_of(yaml.safe_load(path.read_text()), prefix)}
    return keys


def test_every_key_and_choice_that_a_message_names_exists():
    keys, found = known_keys(), list(assignments())
    assert len(found) > 100
    placeholder = re.compile(r"[A-Z]+|\.\.\.|.*[{%].*|\[a,b\]|")
    for key, value, place in found:
        assert key in keys, f"{place}: there is no {key}"
        if (CONF / key).is_dir() and not placeholder.fullmatch(value):
            for choice in value.strip("[]").split(","):
                assert (CONF / key / f"{choice}.yaml").exists(), f"{place}: {key}={value} is no choice"
