"""The command line: check everything, then let Hydra run one job or many."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas.cli.compose import Jobs, compose_jobs, labels, named, one_line
from nas.cli.estimating import asks_for_estimate, make_estimate
from nas.cli.launching import choose_launcher, launch_sweep, recorded, shared_folder
from nas.cli.naming import register_resolvers
from nas.cli.scale import register_scales
from nas.cli.setup import make_task, without_hydra
from nas.cli.spelling import spelled_out
from nas.errors import InUseError, NasError, UserError
from nas.launcher.parent import end_with_parent

_CONFIG_NAME = "config"
_exit_codes: list[int] = []  # of the jobs that ran in this process
log = logging.getLogger("nas.failures")  # to the run's log file alone, see conf/hydra/default.yaml


def main(conf: Path) -> None:
    """Run the command line of this process with the settings in ``conf``, and exit.

    Exit codes: 0 all is well; 1 a run failed; 2 the command line is wrong, and nothing was done or written;
    130 interrupted.
    """
    end_with_parent()
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
        sys.exit(_complain(f"{error.strerror or error}: '{error.filename or Path.cwd()}'", 2))
    except UserError as error:
        sys.exit(_complain(error, 2))
    except NasError as error:
        sys.exit(_complain(error, 1))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        sys.exit(_complain(one_line(error), 2))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _run(arguments: argparse.Namespace, conf: Path) -> int:
    """Do what the command line says and return the exit code."""
    if any((arguments.help, arguments.hydra_help, arguments.info, arguments.shell_completion)):
        return _in_this_process(conf)
    if asks_for_estimate(arguments) and not arguments.cfg:
        task = make_estimate(arguments, conf, _CONFIG_NAME)
        task.check()
        print(task.run())
        return 0
    jobs = compose_jobs(arguments, conf, _CONFIG_NAME)
    sys.argv += jobs.adapted
    if arguments.cfg:
        return _in_this_process(conf)
    launcher = choose_launcher(jobs)
    check_jobs(jobs)
    if not jobs.multirun and (left_out := jobs.jobs[0].left_out):
        print(f"left out of the recipe, because other parts are chosen: {', '.join(left_out)}", file=sys.stderr)
    if launcher is not None:
        return launch_sweep(jobs, launcher, arguments, conf)
    if jobs.multirun:
        kept = [argument for argument in sys.argv if not argument.startswith("hydra/launcher")]
        sys.argv[:] = [*kept, "hydra/launcher=basic"]
    with recorded(jobs):
        return _in_this_process(conf)


def _in_this_process(conf: Path) -> int:
    hydra.main(version_base="1.3", config_path=str(conf.absolute()), config_name=_CONFIG_NAME)(_job)()
    return max(_exit_codes, default=0)


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
    try:
        print(make_task(config, hydra_config, folder).run())
        code = 0
    except NasError as error:
        log.error("%s", error)
        code = _complain(error, 2 if isinstance(error, UserError) else 1)
    except Exception as error:
        log.error("the run failed", exc_info=error)
        code = _complain(f"{type(error).__name__}: {error}; the traceback is in {folder / 'run.log'}", 1)
    _exit_codes.append(code)
    return code


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
