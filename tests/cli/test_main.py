"""Command lines as people type them, right and wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.marks import slow_but

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "training=none",
    "tracker=csv",
    "algorithm.n_doe=26",
    "algorithm.n_iter=2",
    "algorithm.iterations=1",
    "evaluator.recalibration_images=64",
    "dataset.resolutions=[8]",
)
WRONG = {
    "group": (["supernett=tiny"], "unknown key 'supernett'; did you mean 'supernet'?"),
    "choice": (["supernet=tini"], "unknown choice for supernet: 'tini'; did you mean 'tiny'? (choices: "),
    "key": (["algorithm.n_itr=4"], "unknown key 'algorithm.n_itr'; did you mean 'algorithm.n_iter'?"),
    "type": (["algorithm.n_iter=eight"], "algorithm.n_iter='eight' is wrong: it should be a valid integer"),
    "negative": (["algorithm.n_iter=-3"], "algorithm.n_iter=-3 is wrong: it should be greater than 0"),
    "seed": (["seed=9223372036854775808"], "it should be less than or equal to 9223372036854775807"),
    "threads": (["threads=3000000000"], "threads=3000000000 is wrong: it should be less than or equal to 1024"),
    "infinite box": (["reference_point=[1e300,1e300]"], "it should be less than or equal to 1000000000000"),
    "timeout": (["tracker.timeout=1e300"], "tracker.timeout=1e+300 is wrong"),
    "memory": (["supernet.stem_width=4611686018427387904"], "these settings need more memory than there is: "),
    "no such home": (
        ["dataset=imagefolder", "dataset.path='~nouser/x'"],
        "dataset.path=~nouser/x: there is no home folder for '~nouser'",
    ),
    "budget": (
        ["surrogate=rbf", "algorithm.n_doe=5"],
        "algorithm.n_doe=5 is too small: surrogate=rbf needs at least 24",
    ),
    "no path": (["dataset=imagefolder"], "dataset.path must be given: add dataset.path=VALUE"),
    "empty path": (["dataset=imagefolder", "dataset.path="], "dataset.path is empty, as it is where a shell variable"),
    "empty path of a list": (["pool=runs", "pool.runs=['']", "space=cascade"], "pool.runs is empty"),
    "missing folder": (["dataset=imagefolder", "dataset.path=nowhere"], "dataset.path: 'nowhere' does not exist"),
    "empty folder": (["dataset=imagefolder", "dataset.path=empty"], "dataset.path: "),
    "unreadable image": (["dataset=imagefolder", "dataset.path=images"], "1 of 24 images cannot be read, first: "),
    "launcher without -m": (["hydra/launcher=submitit_local"], "needs -m (multirun)"),
    "added key": (["+algorithm.foo=1"], "unknown key 'algorithm.foo' (choices: algorithm.iterations,"),
    "added key at the top": (["+foo=1"], "unknown key 'foo'"),
    "removed key": (["~supernet.seed"], "supernet.seed must be given"),
    "hydra's key": (["hydra.run.dr=x"], "unknown key 'hydra.run.dr'; did you mean 'hydra.run.dir'?"),
    "key below a value": (["seed.x=3"], "unknown key 'seed.x': seed is a single value"),
    "second objective": (["sec_obj=flop"], "unknown choice for sec_obj: 'flop'; did you mean 'flops'?"),
    "several algorithms": (["algorithm=[msunas,random]"], "write python launch.py -m algorithm=msunas,random"),
    "sweep without -m": (["seed=0,1"], "seed=0,1 names several values; write python launch.py -m"),
    "shared folder": (
        ["-m", "seed=0,1", "paths.run=x"],
        "two jobs would share the run folder x: let paths.run contain what differs, for example 'paths.run=x/${seed}'",
    ),
    "nothing chosen": (["surrogate=null"], "surrogate takes one of its choices: adaptive, additive_gp, cart"),
    "literal": (["tracker.mode=onlin"], "it should be 'offline', 'online' or 'disabled'"),
    "device": (["device=gpu"], "device=gpu is unknown; choices: auto, cpu, cuda, cuda:<n>"),
    "reference point": (["reference_point=[1,2,3]"], "this run has 2 objectives: top1_error, flops"),
    "ideal point": (["ideal_point=[1,2]"], "ideal_point needs reference_point"),
    "ideal beyond reference": (
        ["ideal_point=[1,2]", "reference_point=[3,2]"],
        "ideal_point's flops, 2, must be below reference_point's, 2",
    ),
    "constraint of no cost": (
        ["constraints.top1.max=3"],
        "unknown key 'constraints.top1' (choices: constraints.",
    ),
    "constraint without its objective": (
        ["constraints.latency_table.max=3"],
        "constraints.latency_table needs sec_obj=latency_table",
    ),
    "constraint that nothing keeps": (
        ["constraints.flops.max=1e-6"],
        "no architecture found within constraints.flops.max=1e-06: flops is 0.0",
    ),
    "constraints that contradict": (
        ["constraints.params.min=3", "constraints.params.max=2"],
        "constraints.params.min=3 is more than constraints.params.max=2",
    ),
    "constraint's type": (["constraints.flops.max=few"], "constraints.flops.max='few' is wrong"),
    "inner value": (["supernet.depths=[1,x]"], "supernet.depths[1]='x' is wrong"),
    "grammar": (["seed=[1"], "cannot read 'seed=[1': write"),
    "spaces": (["dataset=imagefolder", "dataset.path=~/my photos"], "write \"dataset.path='~/my photos'\""),
    "no equals sign": (["digits"], "cannot read 'digits': write key=value"),
    "empty folder name": (["paths.run="], "paths.run is empty"),
    "no second objective": (["sec_obj=[]"], "sec_obj takes one of its choices"),
    "unknown interpolation": (["algorithm.n_doe=${sed}"], "Interpolation key 'sed' not found"),
    "experiment": (["experiment=dmeo"], "unknown choice for experiment: 'dmeo'; did you mean 'demo'?"),
    "one of several supernets": (["supernet=[tiny,tini]"], "unknown choice for supernet/members: 'tini'; did you mean"),
    "a single supernet for cascades": (["algorithm=encas_joint", "supernet=[tiny]"], "supernet=[tiny] is too few"),
    "no list of supernets": (
        ["algorithm=encas_joint", "supernet=tiny"],
        "surrogate=cascade predicts cascades of several supernets: choose them, for example supernet=[alphanet,",
    ),
    "one member's key": (
        ["supernet=[tiny,tiny_wide]", "supernet.members.tiny.depth=[1]"],
        "unknown key 'supernet.members.tiny.depth'; did you mean 'supernet.members.tiny.depths'?",
    ),
    "one member's value": (
        ["algorithm=encas_joint", "supernet.members.tiny_wide.depths=[1,x]"],
        "supernet.members.tiny_wide.depths[1]='x' is wrong",
    ),
    "cascades without their surrogate": (
        ["algorithm=encas_joint", "surrogate=rbf_ensemble"],
        "algorithm=encas_joint needs surrogate=cascade",
    ),
    "cascades' surrogate without cascades": (["surrogate=cascade"], "surrogate=cascade predicts cascades of several"),
    "cascades' surrogate in another search": (
        ["supernet=[tiny,tiny_wide]", "surrogate=cascade", "training=none"],
        "surrogate=cascade needs the errors of each network: choose algorithm=encas_joint or another surrogate",
    ),
    "part of the cascades' surrogate": (
        ["algorithm=encas_joint", "surrogate@surrogate.cost=gp"],
        "surrogate.cost must be rbf_ensemble",
    ),
    "constraint on cascades": (
        ["algorithm=encas_joint", "constraints.flops.max=3"],
        "constraints.flops bounds exact costs; those of cascades depend on what networks answer",
    ),
    "objective of cascades": (
        ["algorithm=encas_joint", "sec_obj=latency"],
        "sec_obj=latency is measured on single networks, not on cascades: choose sec_obj=[flops]",
    ),
    "known costs of cascades": (["algorithm=encas_joint", "sec_obj=params"], "not known costs alone"),
    "epochs that cannot be shared": (
        ["algorithm=encas_joint", "supernet=[tiny,tiny_wide]", "training.member.epochs=3"],
        "training.member.epochs=3 cannot be shared by 2 supernets: use a multiple of 2",
    ),
    "one training for several": (
        ["algorithm=encas_joint", "training=nat"],
        "several supernets are trained each on its own: training=joint",
    ),
    "one network for several": (
        ["algorithm=encas_joint", "evaluator=subnet"],
        "several supernets are measured as cascades: evaluator=joint",
    ),
    "joint training of one": (["training=joint"], "training=joint trains several supernets"),
    "joint evaluation of one": (["evaluator=joint"], "evaluator=joint measures cascades of several supernets"),
    "processes of several": (
        ["algorithm=encas_joint", "training.member.processes=2"],
        "training.member.processes must be 1",
    ),
    "frozen weights again": (
        ["algorithm=encas_joint", "training@training.member=supernet"],
        "evaluating again needs weights that adapt: ",
    ),
    "profile of several": (
        ["task=profile", "supernet=[tiny,tiny_wide]", "arch={}"],
        "takes one supernet, not several",
    ),
    "one bad job of a sweep": (["-m", "surrogate=rbf", "algorithm.n_doe=30,5"], "algorithm.n_doe=5 is too small"),
}

FAST = {
    *("group", "choice", "key", "type", "budget", "empty path", "unreadable image", "launcher without -m"),
    *("added key", "hydra's key", "sweep without -m", "shared folder", "grammar", "spaces", "experiment"),
    *("constraint that nothing keeps", "one of several supernets", "cascades without their surrogate"),
}


@pytest.fixture
def images(tmp_path):
    """Two class folders, one of 24 images not an image; and an empty folder."""
    (tmp_path / "empty").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "images" / name / f"{i}.png")
    (tmp_path / "images" / "dog" / "7.png").write_bytes(b"no image")


@pytest.mark.parametrize("case", slow_but(FAST, WRONG))
def test_a_wrong_command_line_ends_in_one_line_and_leaves_nothing(case, launch, tmp_path, images, monkeypatch):
    arguments, message = WRONG[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = launch(*arguments, f"paths.cache={tmp_path / 'cache'}")
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_from_settings_to_results(launch, tmp_path):
    code, out, err = launch(*SMALL, "paths.run=run")
    assert code == 0, err
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} >= {
        "archive.jsonl", "config.yaml", "front.json", "front.png", "hypervolume.png", "iter_0", "iter_1",
        "iter_0.stats", "iter_1.stats", "metrics.csv", "run.json", "status.json", "test",
    }  # fmt: skip
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["algorithm"]["n_doe"] == 26
    assert "${" not in (run / "config.yaml").read_text()
    last = out.strip().splitlines()
    assert last[0].startswith("Front: ")
    assert any("hypervolume 0." in line for line in last)
    front = json.loads((run / "front.json").read_text())
    assert front["finished"]
    assert all("test" in member for member in front["front"])

    code, out, _ = launch(*SMALL, "paths.run=run")
    assert code == 0
    assert "This run is finished" in out

    before = (run / "archive.jsonl").read_bytes()
    code, _, err = launch(*SMALL, "paths.run=run", "algorithm.n_iter=3")
    assert code == 2
    assert "algorithm.n_iter is 2 there and 3 here" in err
    assert (run / "archive.jsonl").read_bytes() == before


def test_flags_may_stand_anywhere(launch, tmp_path):
    code, _, err = launch("seed=0,1", "-m", *SMALL, "hydra/launcher=basic")
    assert code == 0, err
    assert len(list(tmp_path.glob("outputs/digits-tiny-msunas-flops-*/seed_[01]/front.json"))) == 2


def test_two_costs_at_once(launch, tmp_path):
    code, _, err = launch("sec_obj=[flops,params]", *SMALL, "paths.run=run")
    assert code == 0, err
    front = json.loads((tmp_path / "run" / "front.json").read_text())
    assert [objective["name"] for objective in front["objectives"]] == ["top1_error", "flops", "params"]


def test_a_failure_of_the_run_is_exit_code_1_with_the_traceback_in_the_folder(launch, tmp_path, monkeypatch):
    monkeypatch.setattr("nas.loop.Search.run", lambda *_, **__: 1 / 0)
    code, _, err = launch(*SMALL, "paths.run=run")
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "Traceback" in (tmp_path / "run" / "run.log").read_text()
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "ZeroDivisionError: division by zero")


def test_a_log_names_command_versions_and_steps(launch, tmp_path):
    code, _, err = launch(*SMALL, "paths.run=run")
    assert code == 0, err
    lines = (tmp_path / "run" / "run.log").read_text().splitlines()
    said = [line.partition("][INFO] ")[2] for line in lines]
    assert said[0].startswith("command: launch.py training=none")
    assert said[1].startswith("versions: Python 3.") and "torch" in said[1]
    assert [line.split("  ")[0] for line in said if line.startswith("step ")] == ["step 0/1", "step 1/1"]
    assert said[-1].startswith("finished in ")


@pytest.mark.parametrize("words", [["task=report", "runs=[.]"], ["task=status", "sweep=."]])
def test_a_task_without_a_run_folder_that_crashes_leaves_no_log(words, launch, tmp_path, monkeypatch):
    for task in ("report.ReportTask", "status.StatusTask"):
        monkeypatch.setattr(f"nas.task.{task}.check", lambda self: None)
        monkeypatch.setattr(f"nas.task.{task}.run", lambda self: 1 / 0)
    code, _, err = launch(*words)
    assert code == 1
    assert err.splitlines()[0] == "Traceback (most recent call last):"
    assert err.splitlines()[-1] == "error: ZeroDivisionError: division by zero"
    assert list(tmp_path.iterdir()) == []


def test_no_task_without_a_run_folder_logs_to_a_file():
    for path in (ROOT / "conf" / "task").glob("*.yaml"):
        handlers = yaml.safe_load(path.read_text()).get("hydra", {}).get("job_logging", {}).get("root")
        assert (handlers is None) == (path.stem in ("search", "finetune")), path


def run_launch(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["--info", "defaults"], ["-sc", "query=bash"]])
def test_introspection_never_loads_torch(arguments):
    code = (
        "import sys; sys.argv = ['launch.py', *sys.argv[1:]]\n"
        "from pathlib import Path; from nas.cli.main import main\n"
        f"try: main(Path({str(ROOT / 'conf')!r}))\n"
        "except SystemExit as stop: code = stop.code\n"
        "heavy = {'torch', 'sklearn', 'pymoo', 'matplotlib', 'wandb'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    environment = os.environ | {"COMP_LINE": "launch.py superne"}
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert "supernet" in result.stdout


@pytest.mark.slow
def test_killed_at_random_moments_the_archive_is_the_same_byte_for_byte(tmp_path):
    """Three kill -9 while evaluations run, in a real process on real images."""
    arguments = [*SMALL, "algorithm.n_doe=60", f"paths.cache={tmp_path / 'cache'}", "tracker=console"]
    whole = run_launch(*arguments, "paths.run=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = (tmp_path / "whole" / "archive.jsonl").read_bytes()
    for kill in range(3):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "launch.py"), *arguments, "paths.run=killed"], cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stats = tmp_path / "killed" / "iter_0"
        while process.poll() is None and len(list(stats.glob("*.stats"))) < (7, 21, 45)[kill]:
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
        process.wait()
    done = len(list((tmp_path / "killed" / "iter_0").glob("*.stats")))
    assert 45 <= done < 60
    resumed = run_launch(*arguments, "paths.run=killed", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "killed" / "archive.jsonl").read_bytes() == expected


@pytest.mark.slow
def test_six_runs_of_a_sweep_leave_six_wandb_runs_with_their_groups(tmp_path):
    settings = [argument for argument in SMALL if not argument.startswith("tracker")]
    result = run_launch("-m", "seed=range(3)", "algorithm=msunas,random", *settings, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folders = sorted(tmp_path.glob("outputs/*/seed_*"))
    assert len(folders) == 6
    assert len({folder.parent.name for folder in folders}) == 2
    for folder in folders:
        assert json.loads((folder / "status.json").read_text())["state"] == "finished"
        assert len(list(folder.glob("wandb/offline-run-*/*.wandb"))) == 1


def test_the_group_is_the_folders_name_and_depends_on_values_alone(launch, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (8, 8), (i, i, 9 * i)).save(tmp_path / "images" / name / f"{i}.png")
    settings = ("dataset=imagefolder", "dataset.path=images", "dataset.size=8", "training=none", "tracker=csv")
    budget = ("algorithm.n_doe=24", "algorithm.iterations=0", f"paths.cache={tmp_path / 'cache'}")
    for extra in ((), ("supernet.resolutions=[8]",)):
        code, _, err = launch(*settings, *budget, *extra)
        assert code == 0, err
    (folder,) = (tmp_path / "outputs").iterdir()
    assert folder.name.startswith("imagefolder-tiny-msunas-flops-")
