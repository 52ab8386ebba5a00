"""The command line: check everything, then let Hydra run one job or many."""

import json
import logging
import sys
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nas.cli.compose import compose_jobs, one_line
from nas.cli.naming import register_resolvers
from nas.cli.scale import register_scales
from nas.cli.setup import make_task, without_hydra
from nas.cli.spelling import spelled_out
from nas.errors import NasError, UserError
from nas.run_folder import RunFolder

_CONFIG_NAME = "config"
_exit_codes: list[int] = []  # of the jobs that ran in this process
log = logging.getLogger("nas.failures")  # to the run's log file alone, see conf/hydra/default.yaml


def main(conf: Path) -> None:
    """Run the command line of this process with the settings in ``conf``, and exit.

    Exit codes: 0 all is well; 1 a run failed; 2 the command line is wrong, and nothing was done or written;
    130 interrupted.
    """
    arguments = get_args_parser().parse_intermixed_args()
    flags = [argument for argument in sys.argv[1:] if argument not in arguments.overrides]
    arguments.overrides = [word for override in arguments.overrides for word in spelled_out(_quoted_json(override))]
    sys.argv[1:] = flags + arguments.overrides  # Hydra itself wants them in this order
    register_resolvers()
    register_scales()
    introspection = (arguments.help, arguments.hydra_help, arguments.info, arguments.shell_completion)
    folders: list[Path] = []
    try:
        if not any(introspection):
            jobs = compose_jobs(arguments, conf, _CONFIG_NAME)
            folders = [] if arguments.cfg else check_jobs(jobs)
        hydra.main(version_base="1.3", config_path=str(conf.absolute()), config_name=_CONFIG_NAME)(_job)()
    except (UserError, OSError) as error:
        sys.exit(_complain(error, 2))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        sys.exit(_complain(one_line(error), 2))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    failed = any(RunFolder(folder).state() == "failed" for folder in folders)
    sys.exit(max([*_exit_codes, int(failed)]))


def check_jobs(jobs: list[DictConfig]) -> list[Path]:
    """Check all jobs of a command line before the first one starts, and return their run folders.

    Raises:
        UserError: for the first thing that is wrong.
    """
    folders: list[Path] = []
    for config in jobs:
        HydraConfig.instance().set_config(config)
        folder = Path(config.hydra.run.dir)
        if folder in folders:
            raise UserError(f"two jobs would share the run folder {folder}: let paths.run contain what differs")
        folders.append(folder)
        make_task(without_hydra(config), config.hydra, folder).check()
    return folders


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
