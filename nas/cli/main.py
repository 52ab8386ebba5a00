"""The command line: check everything, then let Hydra run one job or many."""

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nas.cli.check import without_hydra
from nas.cli.command import CommandLine, labels
from nas.cli.compose import Job, Jobs, compose_jobs, named, one_line, use_folders
from nas.cli.estimating import make_estimate
from nas.cli.help import help_text
from nas.cli.launching import choose_launcher, has_run_folder, launch_sweep, recorded, shared_folder
from nas.cli.streams import end_at_interrupts, lost_output, raise_interrupts
from nas.errors import InUseError, NasError, UserError, missing_package
from nas.files import write_text, writing
from nas.launcher.supervision import stop_with_watcher
from nas.task.base import Task
from nas.tracker.console import fitted, terminal_width

log = logging.getLogger("nas.failures")  # to the run's log file alone, see conf/hydra/default.yaml


def main(conf: Path) -> None:
    """Run the command line of this process with the settings in ``conf``, and exit.

    Exit codes: 0 all is well; 1 a run failed, or what a task without a folder printed could not be written; 2 the
    command line is wrong, and nothing was done or written; 130 interrupted.
    """
    stop_with_watcher()
    line = CommandLine.parsed(sys.argv[1:])
    sys.argv[1:] = [*line.flags, *line.words]  # spelled out, for Hydra and for what records command lines
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # what Hydra cannot write is said here, in one line
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is not worth a traceback
    try:
        sys.exit(_run(line, conf))
    except OSError as error:
        place = f": '{error.filename}'" if error.filename else ""
        sys.exit(_complain(f"{error.strerror or error}{place}", 2))
    except UserError as error:
        sys.exit(_complain(error, 2))
    except NasError as error:
        sys.exit(_complain(error, 1))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        sys.exit(_complain(one_line(error), 2))
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        sys.exit(_complain(missing, 2))
    except (MemoryError, RuntimeError) as error:
        if not _needs_too_much_memory(error):
            raise
        sys.exit(_complain(f"these settings need more memory than there is: {one_line(error)}", 2))
    except KeyboardInterrupt:
        end_at_interrupts()
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _needs_too_much_memory(error: Exception) -> bool:
    """Return whether an error says that an array does not fit; torch has a RuntimeError for that on the CPU."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("allocate memory", "Storage size calculation overflowed")
    )


def _run(line: CommandLine, conf: Path) -> int:
    """Do what the command line says and return the exit code."""
    if line.help:
        print(help_text(line, conf))
        return _printed(0)
    if line.shown and not line.cfg:
        return _printed(_shown(line, conf))
    if line.task == "estimate" and not line.cfg:
        task = make_estimate(line, conf)
        task.check()
        print(task.run())
        return _printed(0)
    if not line.cfg and sys.stderr.isatty():
        print("checking settings and data; this takes a few seconds", file=sys.stderr)
    jobs = compose_jobs(line, conf)
    if line.cfg:
        return _printed(_shown(line.changed(words=(*line.words, *jobs.adapted)), conf))
    launcher = choose_launcher(jobs)
    tasks = check_jobs(jobs)
    raise_interrupts()
    if not jobs.multirun and (left_out := jobs.jobs[0].left_out):
        print(f"left out of the recipe, because other parts are chosen: {', '.join(left_out)}", file=sys.stderr)
    if launcher is not None:
        return launch_sweep(jobs, launcher, line)
    with recorded(jobs, line):
        code = max(_in_its_folder(job, task) for job, task in zip(jobs.jobs, tasks, strict=True))
    return code if all(map(has_run_folder, jobs.configs)) else _printed(code)


def _printed(code: int) -> int:
    """Return the exit code of a command whose result is what it printed: 1 where that could not be written."""
    error = lost_output()
    return code if error is None else _complain(f"the output cannot be written ({error.strerror})", max(code, 1))


def _shown(line: CommandLine, conf: Path) -> int:
    """Let Hydra show settings, its own help or tab completion, and return its exit code."""
    use_folders(line, Path(line.config_path or conf).absolute())
    sys.argv = [sys.argv[0], *_for_hydra(line.flags), *line.words]
    try:
        hydra.main(version_base="1.3", config_path=str(conf.absolute()), config_name="config")(lambda _: None)()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _for_hydra(flags: Sequence[str]) -> Iterator[str]:
    """Yield flags without the user's folders, which the search path has already; Hydra takes one alone."""
    rest = iter(flags)
    for flag in rest:
        if flag in ("--config-dir", "-cd"):
            next(rest, None)
        elif not flag.startswith(("--config-dir=", "hydra.searchpath=")):
            yield flag


def check_jobs(jobs: Jobs) -> list[Task | None]:
    """Check all jobs of a command line before the first one starts.

    Returns:
        The task of a single job, with what its parts have loaded; of a sweep ``None`` for each.

    Raises:
        UserError: For the first thing that is wrong.
    """
    folders: list[Path] = []
    tasks: list[Task | None] = []
    for job, label in zip(jobs.jobs, labels([job.overrides for job in jobs.jobs]), strict=True):
        HydraConfig.instance().set_config(job.config)
        folder = Path(job.config.hydra.run.dir)
        if folder in folders:
            raise UserError(shared_folder(jobs, folder))
        folders.append(folder)
        with named(label):
            task: Task = job.experiment().part("task")
            try:
                task.check()
            except InUseError:
                if not jobs.multirun:
                    raise  # a sweep leaves such a run alone
        tasks.append(None if jobs.multirun else task)
    return tasks


def _in_its_folder(job: Job, task: Task | None) -> int:
    """Run a job, with its log and its settings in its folder, and return the exit code."""
    config, folder = job.config, Path(job.config.hydra.run.dir)
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder.absolute())
    HydraConfig.instance().set_config(config)
    own = without_hydra(config)
    if config.hydra.output_subdir is not None:
        for name, content in (
            ("config", own),
            ("hydra", OmegaConf.masked_copy(config, ["hydra"])),
            ("overrides", config.hydra.overrides.task),
        ):
            write_text(folder / config.hydra.output_subdir / f"{name}.yaml", OmegaConf.to_yaml(content))
    with writing(folder / "run.log"):
        configure_log(config.hydra.job_logging, config.hydra.verbose)
    try:
        return _job(job, folder, task)
    finally:
        logging.shutdown()


def _job(job: Job, folder: Path, task: Task | None) -> int:
    """Run one job in its folder; what goes wrong becomes one line and an exit code."""
    keeps_log = has_run_folder(job.config)
    try:
        made: Task = job.experiment(folder).part("task") if task is None else task
        said, width = made.run(), terminal_width()
        if keeps_log and width is not None:
            said = "\n".join(fitted(line, width) for line in said.splitlines())
        print(said)
        code = 0
    except NasError as error:
        if keeps_log:
            log.error("%s", error)
        code = _complain(error, 2 if isinstance(error, UserError) else 1)
    except Exception as error:
        missing = missing_package(error)
        code = _failed(error, folder / "run.log" if keeps_log else None) if missing is None else _complain(missing, 2)
    except KeyboardInterrupt:
        if keeps_log:
            raise
        return _complain("interrupted", 130)
    if keeps_log and (lost := lost_output()) is not None:
        logging.getLogger().warning("some output is lost (%s); the results are in %s", lost.strerror, folder)
    return code


def _failed(error: Exception, log_file: Path | None) -> int:
    """Say what no code expected: the traceback goes into the log, or on the screen where there is none."""
    where = ""
    if log_file is None:
        traceback.print_exception(error)
    else:
        log.error("the run failed", exc_info=error)
        where = f"; the traceback is in {log_file}"
    return _complain(f"{type(error).__name__}: {error}{where}", 1)


def _complain(error: object, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code
