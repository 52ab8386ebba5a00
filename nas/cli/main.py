"""The command line: check everything, then let Hydra run one job or many."""

import argparse
import json
import logging
import os
import sys
import traceback
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas.cli.compose import Jobs, compose_jobs, labels, named, one_line
from nas.cli.estimating import asks_for_estimate, make_estimate
from nas.cli.launching import choose_launcher, has_run_folder, launch_sweep, recorded, shared_folder
from nas.cli.naming import register_resolvers
from nas.cli.scale import register_scales
from nas.cli.setup import make_task, without_hydra
from nas.cli.spelling import spelled_out
from nas.cli.streams import end_at_interrupts, lost_output, raise_interrupts
from nas.errors import InUseError, NasError, UserError
from nas.files import writing
from nas.launcher.supervision import stop_with_watcher
from nas.tracker.console import fitted, terminal_width

_CONFIG_NAME = "config"
_exit_codes: list[int] = []  # of the jobs that ran in this process
log = logging.getLogger("nas.failures")  # to the run's log file alone, see conf/hydra/default.yaml


def main(conf: Path) -> None:
    """Run the command line of this process with the settings in ``conf``, and exit.

    Exit codes: 0 all is well; 1 a run failed, or what a task without a folder printed could not be written; 2 the
    command line is wrong, and nothing was done or written; 130 interrupted.
    """
    stop_with_watcher()
    arguments = get_args_parser().parse_intermixed_args()
    flags = [argument for argument in sys.argv[1:] if argument not in arguments.overrides]
    arguments.overrides = [word for override in arguments.overrides for word in spelled_out(_quoted_json(override))]
    sys.argv[1:] = flags + arguments.overrides  # Hydra itself wants them in this order
    register_resolvers()
    register_scales()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # what Hydra cannot write is said here, in one line
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is not worth a traceback
    try:
        sys.exit(_run(arguments, conf))
    except OSError as error:
        place = f": '{error.filename}'" if error.filename else ""
        sys.exit(_complain(f"{error.strerror or error}{place}", 2))
    except UserError as error:
        sys.exit(_complain(error, 2))
    except NasError as error:
        sys.exit(_complain(error, 1))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        sys.exit(_complain(one_line(error), 2))
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


def _run(arguments: argparse.Namespace, conf: Path) -> int:
    """Do what the command line says and return the exit code."""
    if any((arguments.help, arguments.hydra_help, arguments.info, arguments.shell_completion)):
        return _printed(_described(conf))
    if asks_for_estimate(arguments) and not arguments.cfg:
        task = make_estimate(arguments, conf, _CONFIG_NAME)
        task.check()
        print(task.run())
        return _printed(0)
    if not arguments.cfg and sys.stderr.isatty():
        print("checking settings and data; this takes a few seconds", file=sys.stderr)
    jobs = compose_jobs(arguments, conf, _CONFIG_NAME)
    sys.argv += jobs.adapted
    if arguments.cfg:
        return _printed(_described(conf))
    launcher = choose_launcher(jobs)
    if launcher is None and len({job.adapted for job in jobs.jobs}) > 1:
        raise UserError(
            "the jobs leave different settings of the recipe out, which only runs of their own can: use "
            "hydra/launcher=local, or a command line for each"
        )
    check_jobs(jobs)
    raise_interrupts()
    if not jobs.multirun and (left_out := jobs.jobs[0].left_out):
        print(f"left out of the recipe, because other parts are chosen: {', '.join(left_out)}", file=sys.stderr)
    if launcher is not None:
        return launch_sweep(jobs, launcher, arguments, conf)
    if jobs.multirun:
        kept = [argument for argument in sys.argv if not argument.startswith("hydra/launcher")]
        sys.argv[:] = [*kept, "hydra/launcher=basic"]
    first = jobs.configs[0].hydra
    folder = Path(first.sweep.dir if jobs.multirun else first.run.dir)
    with recorded(jobs, arguments), writing(folder / ".hydra"):
        code = _in_this_process(conf)
    return code if all(map(has_run_folder, jobs.configs)) else _printed(code)


def _printed(code: int) -> int:
    """Return the exit code of a command whose result is what it printed: 1 where that could not be written."""
    error = lost_output()
    return code if error is None else _complain(f"the output cannot be written ({error.strerror})", max(code, 1))


def _in_this_process(conf: Path) -> int:
    hydra.main(version_base="1.3", config_path=str(conf.absolute()), config_name=_CONFIG_NAME)(_job)()
    return max(_exit_codes, default=0)


def _described(conf: Path) -> int:
    """Let Hydra show settings or help, and return its exit code."""
    try:
        return _in_this_process(conf)
    except SystemExit as stop:
        return int(stop.code or 0)


def check_jobs(jobs: Jobs) -> None:
    """Check all jobs of a command line before the first one starts.

    Raises:
        UserError: for the first thing that is wrong.
    """
    folders: list[Path] = []
    for job, label in zip(jobs.jobs, labels([job.overrides for job in jobs.jobs]), strict=True):
        HydraConfig.instance().set_config(job.config)
        folder = Path(job.config.hydra.run.dir)
        if folder in folders:
            raise UserError(shared_folder(jobs, folder))
        folders.append(folder)
        with named(label):
            task = make_task(without_hydra(job.config), job.config.hydra, folder)
            try:
                task.check()
            except InUseError:
                if not jobs.multirun:
                    raise  # a sweep leaves such a run alone


def _job(config: DictConfig) -> int:
    """Run one job in its folder; what goes wrong becomes one line and an exit code."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    keeps_log = has_run_folder(config)
    try:
        said, width = make_task(config, hydra_config, folder).run(), terminal_width()
        if keeps_log and width is not None:
            said = "\n".join(fitted(line, width) for line in said.splitlines())
        print(said)
        code = 0
    except NasError as error:
        if keeps_log:
            log.error("%s", error)
        code = _complain(error, 2 if isinstance(error, UserError) else 1)
    except Exception as error:
        code = _failed(error, folder / "run.log" if keeps_log else None)
    except KeyboardInterrupt:
        if keeps_log:
            raise
        _exit_codes.append(_complain("interrupted", 130))
        return 130
    if keeps_log and (lost := lost_output()) is not None:
        logging.getLogger().warning("some output is lost (%s); the results are in %s", lost.strerror, folder)
    _exit_codes.append(code)
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


def _quoted_json(override: str) -> str:
    """Return ``key={"a": 1}`` with the JSON quoted, as Hydra's grammar wants it; other overrides as they are."""
    key, _, value = override.partition("=")
    try:
        return f"{key}='{value}'" if value.startswith("{") and json.loads(value) is not None else override
    except json.JSONDecodeError:
        return override


def _complain(error: object, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code
