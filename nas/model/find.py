"""Which model a command line means."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.errors import UserError, typed
from nas.files import expanded
from nas.model.base import MODEL_FILE, Model, ModelSource, Progress, silent
from nas.model.folder import FolderSource
from nas.model.front import BEST, Front, read_architecture
from nas.model.given import Given
from nas.model.layers import STATIC
from nas.model.net_config import architectures, is_net_config
from nas.model.of_config import ConfigSource, SubnetSource
from nas.model.of_run import RunFront
from nas.model.old_run import OldFront, is_old_run
from nas.targets import Allowed, checked_packages

TIMM_PREFIX = "timm:"
"""What a model's name begins with that is timm's."""


def find_source(
    *,
    run: Path | None,
    arch: str | int | Mapping[str, Any],
    model: str | None,
    weights: str | None,
    resolution: int | None,
    recalibrate: bool,
    given: Given,
) -> ModelSource:
    """Return where the model comes from that these settings name; nothing is trained, run or written.

    Args:
        run: folder of a finished run, of which ``arch`` is a member or an architecture.
        arch: ``"best"``, an index of ``front.json``, an architecture as JSON or as a file.
        model: folder that holds ``model.json``, a ``net.config``, a ``.subnet`` file, or ``timm:NAME``.
        weights: of a model that is a file or timm's: a path or ``"random"``.
        resolution: side of the square input in pixels, where the model does not say it; timm's have their own.
        recalibrate: whether architectures of runs get batch-norm statistics of their own, as their run computed them.
        given: what else is named.

    Raises:
        UserError: if they name none, or two, or what they name is absent, damaged, or does not fit.
    """
    if (run is None) == (model is None):
        raise UserError("name one model: run=FOLDER (and arch=INDEX), or model=FOLDER, FILE or timm:NAME")
    if run is not None:
        if weights is not None:
            raise UserError("a run has its own weights: weights=FILE goes with model=FILE")
        return front_of(run, recalibrate=recalibrate, given=given).chosen(arch)
    assert model is not None
    if arch != BEST:
        raise UserError("arch=... names an architecture of a run: add run=FOLDER, or leave arch out")
    if not model:
        raise UserError("model is empty, as it is where a shell variable is not set: give a path (. for this folder)")
    if model.startswith(TIMM_PREFIX):
        return _timm(model.removeprefix(TIMM_PREFIX), weights, resolution, given)
    path = expanded(model, "model")
    if path.is_dir():
        if weights is not None:
            raise UserError(f"the folder '{model}' has its own weights: weights=FILE goes with model=FILE")
        return FolderSource(path, device=given.device, cache=given.cache, allowed=given.allowed)
    return _of_file(path, weights, resolution, given)


def find_model(*, progress: Progress, **asked: Any) -> Model:
    """Return the model that settings name; see :func:`find_source`."""
    return find_source(**asked).load(progress)


def loaded(path: str | Path, arch: str | int, device: str, allow: Sequence[str] = ()) -> Model:
    """Return the model of a folder of a model or a run; the cache is the one of the command line's settings.

    Raises:
        UserError: if there is none.
    """
    folder = expanded(path, "path")
    cache = expanded(os.environ.get("NAS_CACHE", "~/.cache/nas"), "NAS_CACHE")
    given = Given(settings={}, device=device, cache=cache, allowed=Allowed(checked_packages(allow)))
    is_model = (folder / MODEL_FILE).is_file()
    asked: dict[str, Any] = {"run": None, "model": str(folder)} if is_model else {"run": folder, "model": None}
    source = find_source(**asked, arch=arch, weights=None, resolution=None, recalibrate=True, given=given)
    return source.load(silent)


def front_of(run: Path, *, recalibrate: bool, given: Given, second: str = "flops") -> Front:
    """Return the front of a finished run, of this project or of the original tool.

    Args:
        run: the folder; of the original tool's results also one of their files, ``iter_<k>.stats``.
        recalibrate: whether its networks get batch-norm statistics of their own.
        given: device and cache; for the original tool's folders also supernet and data.
        second: name of the second objective in the original tool's folders that do not tell it.

    Raises:
        UserError: if the folder holds none.
    """
    folder = expanded(run, "run")
    if is_old_run(folder):
        return OldFront(folder, recalibrate=recalibrate, second=second, given=given)
    if not folder.is_dir():
        raise UserError(f"run={run} is no folder that exists")
    if (folder / MODEL_FILE).exists():
        raise UserError(f"run={run} is the folder of a model: name it with {typed('model', run)}")
    return RunFront(folder, recalibrate=recalibrate, given=given)


def _timm(name: str, weights: str | None, resolution: int | None, given: Given) -> ModelSource:
    from nas.model.of_timm import TimmSource, file_or_word

    return TimmSource(
        name,
        weights=file_or_word(weights),
        seed=0,
        resolution=resolution,
        dataset=given.dataset,
        settings=given.settings,
        name=name,
        device=given.device,
    )


def _of_file(path: Path, weights: str | None, resolution: int | None, given: Given) -> ModelSource:
    if not path.is_file():
        raise UserError(
            f"model={path} does not exist; give a folder of task=select, a net.config or .subnet file, or "
            f"{TIMM_PREFIX}NAME"
        )
    config = read_architecture(str(path), f"a folder, {TIMM_PREFIX}NAME", key="model")
    if config.get("name") == STATIC:  # its authors' code builds no network from it; the supernet does
        (config,) = architectures(config, (), path)
        return SubnetSource(path, config, weights=weights, resolution=resolution, given=given)
    if is_net_config(config):
        return ConfigSource(path, config, weights=weights, resolution=resolution, given=given)
    if not given.names("supernet"):
        _refuse_part(path)
    return SubnetSource(path, config, weights=weights, resolution=resolution, given=given)


def _refuse_part(path: Path) -> None:
    """Raise UserError if a file belongs to the folder of a model or of a run, which has the weights."""
    folder, run = path.parent, path.absolute().parent.parent
    if (folder / MODEL_FILE).is_file():
        raise UserError(f"model={path} is a part of a model: name that with {typed('model', folder)}")
    if (run / "config.yaml").is_file():
        raise UserError(f"model={path} is a part of a run: name it with {typed('run', run)} {typed('arch', path)}")
