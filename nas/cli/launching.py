"""From a command line with several jobs to the runs of a sweep, and to those that are missing."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nas.cli.check import check_part, task_of
from nas.cli.command import CommandLine, key_of, labels
from nas.cli.compose import Jobs
from nas.cli.naming import name_sweep, sweep_name
from nas.errors import LAUNCH, UserError, program, typed
from nas.files import expanded
from nas.launcher.base import Launcher
from nas.run.folder import RunFolder
from nas.run.lease import holder, lease
from nas.run.status import observed
from nas.sweep import PlannedRun, RunRow, SweepFolder, table
from nas.tracker.console import terminal_width

_GROUP = "hydra/launcher"
_IN_PROCESS = "basic"  # Hydra's own: all runs one after the other in the process of the command line
_LAUNCHERS = ("local", "slurm", _IN_PROCESS)
_NOT_A_JOBS = (_GROUP, "hydra.launcher", "hydra.sweep", "hydra.sweeper", "hydra.mode", "detach")
_LOST = ("failed", "interrupted", "killed", "new")


def choose_launcher(jobs: Jobs) -> Launcher | None:
    """Return what starts the jobs; ``None`` where they run in this process.

    Raises:
        UserError: If it cannot start them, or its settings are wrong.
    """
    first = jobs.jobs[0].config
    choice = str(first.hydra.runtime.choices[_GROUP])
    if not jobs.multirun:
        if first.get("detach"):
            raise UserError(
                f"detach=true needs -m (multirun): one run goes on alone with {program()} -m detach=true ..."
            )
        return None
    if choice not in _LAUNCHERS:
        raise UserError(f"{_GROUP}={choice} cannot go on with runs; choices: {', '.join(_LAUNCHERS)}")
    without = [config.hydra.runtime.choices["task"] for config in jobs.configs if not has_run_folder(config)]
    if choice == _IN_PROCESS or without:
        if first.detach or choice == "slurm":
            reason = f"task={without[0]}, which has no run folder," if without else f"{_GROUP}={_IN_PROCESS}"
            raise UserError(f"{reason} runs in the process of the command line: no {_GROUP}=slurm, no detach=true")
        return None
    settings = launcher_settings(jobs)
    kind = check_part("hydra.launcher", settings)
    launcher: Launcher = kind(**{key: value for key, value in settings.items() if key != "_target_"})
    launcher.check()
    return launcher


def launcher_settings(jobs: Jobs) -> dict[str, Any]:
    """Return the settings of what starts the jobs, checked.

    Raises:
        UserError: If they are wrong, or differ between jobs.
    """
    nodes = [OmegaConf.to_container(config.hydra.launcher, resolve=True) for config in jobs.configs]
    if any(node != nodes[0] for node in nodes):
        raise UserError("all runs of a sweep have one launcher: hydra.launcher cannot differ between them")
    node = nodes[0]
    assert isinstance(node, dict)
    settings = {str(key): value for key, value in node.items()}
    check_part("hydra.launcher", settings)
    return settings


def launch_sweep(jobs: Jobs, launcher: Launcher, line: CommandLine) -> int:
    """Start the runs of a sweep that are missing, say what became of all, and return the exit code."""
    first = jobs.jobs[0].config
    sweep, runs = _sweep(jobs), _planned(jobs, line)
    sweep.check(runs)
    with lease(sweep.path):
        sweep.begin(str(first.hydra.runtime.choices[_GROUP]), runs, _command(line))
        todo = _missing(sweep, runs, first)
        if todo and not first.detach:
            print(launcher.launch(sweep, todo), flush=True)
    follow = f"{program()} task=status {typed('sweep', sweep.path)}"
    if todo and first.detach:
        kept = [word for word in (*_flags(line), "--multirun", *line.words) if key_of(word) != "detach"]
        print(launcher.detach(sweep, todo, [*_program(), *kept]))
        print(f"See them with: {follow}")
        return 0
    try:
        if not first.detach:
            launcher.wait(sweep)
    except KeyboardInterrupt:
        print(f"the runs go on without this terminal; see them with: {follow}", file=sys.stderr)
        return 130
    return _conclusion(sweep.rows())


@contextmanager
def recorded(jobs: Jobs, line: CommandLine) -> Iterator[None]:
    """Record a sweep that runs in this process, and say at the end what became of all runs."""
    if not (jobs.multirun and all(has_run_folder(config) for config in jobs.configs)):
        yield
        return
    named = zip(_labels(jobs), _folders(jobs), strict=True)
    sweep, runs = _sweep(jobs), [PlannedRun(label, folder, (), Path.cwd()) for label, folder in named]
    sweep.check(runs)
    with lease(sweep.path):
        sweep.begin(_IN_PROCESS, runs, _command(line))
        yield
    _conclusion(sweep.rows())


def _conclusion(rows: Sequence[RunRow]) -> int:
    print(table(rows, terminal_width()))
    lost = Counter(row.state for row in rows if row.state in _LOST)
    if lost["failed"]:
        print("the same command with retry_failed=true starts failed runs again", file=sys.stderr)
    return int(bool(lost))


def _missing(sweep: SweepFolder, runs: Sequence[PlannedRun], settings: DictConfig) -> list[PlannedRun]:
    """Return the runs that are to be started, and say what is left alone."""
    queued = {row.folder for row in sweep.rows() if row.queued}
    todo, left = [], Counter[str]()
    for run in runs:
        facts, folder = observed(run.folder), RunFolder(run.folder)
        if holder(run.folder) is not None or run.folder in queued:
            left["under way"] += 1
        elif folder.is_finished() and not settings.store_outputs:
            again = settings.retry_failed and facts.get("failed")
            todo += [run] if again else []
            left["finished"] += not again
        elif facts.get("state") == "failed" and not settings.retry_failed:
            left["failed (retry_failed=true starts them again)"] += 1
        else:
            todo.append(run)
    counts = [f"{count} {what}" for what, count in left.items()] + [f"{len(todo)} to start"]
    print(f"sweep {sweep.path}: {len(runs)} runs, {', '.join(counts)}", flush=True)
    return todo


def shared_folder(jobs: Jobs, folder: Path) -> str:
    """Return the message for two jobs of one run folder: what to write instead."""
    lines = [job.overrides for job in jobs.jobs]
    for line in lines:
        if lines.count(line) > 1:
            return f"two jobs are the same: {' '.join(line)} stands there twice; name each value once"
    choices = jobs.jobs[0].config.hydra.runtime.choices
    common = set.intersection(*map(set, lines))
    keys = dict.fromkeys(key_of(word) for line in lines for word in line if word not in common)
    differing = [f"${{hydra:runtime.choices.{key}}}" if key in choices else f"${{{key}}}" for key in keys]
    return (
        f"two jobs would share the run folder {folder}: let paths.run contain what differs, "
        f"for example 'paths.run={folder}/{'/'.join(differing)}'"
    )


def _sweep(jobs: Jobs) -> SweepFolder:
    name_sweep(sweep_name(jobs.configs, jobs.config_name))
    return SweepFolder(Path(jobs.jobs[0].config.hydra.sweep.dir))


def _planned(jobs: Jobs, line: CommandLine) -> list[PlannedRun]:
    start = (*_program(), *_flags(line), "hydra.mode=RUN")
    return [
        PlannedRun(label, folder, (*start, *(text for text in job.overrides if _is_a_jobs(text))), Path.cwd())
        for label, folder, job in zip(_labels(jobs), _folders(jobs), jobs.jobs, strict=True)
    ]


def _program() -> list[str]:
    """Return the beginning of a command that starts this program again, from its clone or as it is installed."""
    start = [str(LAUNCH.absolute())] if LAUNCH.exists() else ["-m", "nas"]
    return [sys.executable, "-X", "faulthandler", *start]


def _flags(line: CommandLine) -> list[str]:
    """Return the flags that say which settings a command line means."""
    folders = [part for folder in line.config_dirs for part in ("--config-dir", folder)]
    others = (("--config-path", line.config_path), ("--config-name", line.config_name))
    return [*(part for flag, value in others if value for part in (flag, value)), *folders]


def _command(line: CommandLine) -> dict[str, Any]:
    """Return what of a command line says which runs it means."""
    folders = [each if "://" in each else str(Path(each).absolute()) for each in line.config_dirs]
    path = None if line.config_path is None else str(Path(line.config_path).absolute())
    return {
        "config_path": path,
        "config_dirs": folders,
        "config_name": line.config_name,
        "overrides": list(line.words),
    }


def _folders(jobs: Jobs) -> list[Path]:
    """Return the run folder of each job; ``${hydra:...}`` in ``paths.run`` means the job's own choices."""
    found = []
    for config in jobs.configs:
        HydraConfig.instance().set_config(config)
        found.append(expanded(config.hydra.run.dir, "paths.run").absolute())
    return found


def _labels(jobs: Jobs) -> list[str]:
    """Return what sets each job apart, for example ``seed=3``; the folder's name where there is one job."""
    words = labels([job.overrides for job in jobs.jobs])
    return [label or folder.name for label, folder in zip(words, _folders(jobs), strict=True)]


def _is_a_jobs(override: str) -> bool:
    key = key_of(override)
    return not any(key == name or key.startswith(f"{name}.") for name in _NOT_A_JOBS)


def has_run_folder(config: DictConfig) -> bool:
    """Return whether results, status and log of a job's task are in a folder of its own."""
    return task_of(config).has_run_folder
