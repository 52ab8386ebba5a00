"""Run folder: its files, its writer and its state."""

import json
import logging
import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from nas.errors import InUseError, NasError, UserError
from nas.files import check_can_be_written, read_sealed, sealed, write_json, write_text
from nas.run.archive import Archive
from nas.run.lease import holder, lease
from nas.run.status import StatusFile

FREE_SETTINGS = ("paths", "tracker", "executor", "retry_failed", "store_outputs", "detach", "allow")
"""Settings that may change when a run goes on: they do not change its results."""

MOVABLE_SETTINGS = ("dataset.path", "dataset.imagenet")
"""Folders of data, which may have moved: what is in them is compared (:meth:`RunFolder.check_data`)."""

_PACKAGES = ("hydra-core", "omegaconf", "numpy", "scipy", "torch", "pymoo", "moocore", "scikit-learn", "wandb")

log = logging.getLogger(__name__)


MOVED_CLASSES = {
    "nas.evaluator.cascade.CascadeEvaluator": "nas.cascade.evaluator.CascadeEvaluator",
    "nas.evaluator.gap_cascade.GapCascades": "nas.cascade.source.GapCascades",
    "nas.evaluator.joint.JointEvaluator": "nas.cascade.joint_evaluator.JointEvaluator",
    "nas.evaluator.pooled.PooledCascades": "nas.cascade.source.PooledCascades",
    "nas.optimizer.ehvi.EHVI": "nas.optimizer.ehvi.EHVISearch",
    "nas.supernet.several.Several": "nas.supernet.joint.JointSupernet",
    "nas.surrogate.cascade.CascadeSurrogate": "nas.cascade.joint_surrogate.JointSurrogate",
}
"""Classes that settings of earlier versions name otherwise: name then, name now."""


class RunFolder:
    """A run's folder.

    ==========================  ====================================================================
    ``config.yaml``             the resolved settings
    ``run.json``                identity, command line, versions, git revision
    ``status.json``             state, progress, host, process, last error (:class:`nas.run.status.StatusFile`)
    ``archive.jsonl``           every evaluation (:class:`nas.run.archive.Archive`)
    ``times.jsonl``             seconds of each step by activity, outside the archive
    ``iter_<k>/net_<i>.subnet``  an architecture, and ``.stats``: its measurements
    ``iter_<k>.stats``          archive, candidates, hypervolume and surrogate in the layout of NSGANetV2's tool
    ``failed/``                 architectures whose evaluation failed, with their traceback
    ``weights/``                ``supernet.pt``: weights trained from scratch, a hard link into the cache if possible;
                                for weights that adapt ``iter_<k>.pt`` of the last steps and ``final.pt``
    ``final/``                  the final front on the validation set with those weights
    ``test/``                   the final front on the test set
    ``front.json``, ``*.png``, ``metrics.csv``  results
    ==========================  ====================================================================
    """

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is read or written."""
        self.path = path
        self.status = StatusFile(path / "status.json")

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise UserError if the folder holds a run with other settings, or is no run folder."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file; paths.run must be a folder")
        stored_path = self.path / "config.yaml"
        if not stored_path.exists() or self.known().get("settings") == settings_digest(settings):
            return
        try:
            stored = _flat(self.settings())
        except ValueError as error:
            raise UserError(f"{error}; use another folder (paths.run=FOLDER)") from error
        wanted = _flat(json.loads(json.dumps(settings)))
        for key in sorted(stored.keys() | wanted.keys()):
            there, here = stored.get(key, "absent"), wanted.get(key, "absent")
            free = key.split(".")[0] in FREE_SETTINGS or key in MOVABLE_SETTINGS or key.endswith("._partial_")
            if there != here and not free:  # earlier versions wrote _partial_, which says nothing now
                raise UserError(
                    f"the run folder {self.path} holds a run with other settings: {key} is {there} there and {here} "
                    f"here; use the same settings to go on, or another folder (paths.run=FOLDER)"
                )

    def check_data(self, fingerprints: Mapping[str, str], sizes: Callable[[], Mapping[str, int]] | None = None) -> None:
        """Raise UserError if data or network have changed since the run began.

        Args:
            fingerprints: Fingerprints of parts as they are now; further ones of the run are not compared, nor are those
                that earlier versions did not record.
            sizes: :meth:`nas.dataset.base.Dataset.sizes` of the data as they are now; ``None`` if nobody knows them.
        """
        known = self.known()
        stored = known.get("fingerprints", {})
        for part, now in fingerprints.items():
            then = stored.get(part, now)
            if then == now:
                continue
            if part == "dataset":
                before, after = told(then, known.get("sizes")), told(now, sizes() if sizes else None)
                raise UserError(
                    f"the data have changed: the run in '{self.path}' had {before}, now there are {after}; restore the "
                    f"data, or search anew in another folder (paths.run=FOLDER)"
                )
            raise UserError(
                f"the run folder '{self.path}' holds a run with another {part} ({then[:8]}, now {now[:8]}): its "
                f"content or code has changed since; restore it, or use another folder (paths.run=FOLDER)"
            )

    def keep(self, weights: Mapping[Path, str]) -> None:
        """Record the digests of weight files in the run folder."""
        digests = {path.relative_to(self.path).as_posix(): digest for path, digest in weights.items()}
        if digests:
            known = self.known()
            write_json(self.path / "run.json", sealed({**known, "weights": digests}), indent=2)

    def kept(self) -> dict[Path, str]:
        """Return the digests recorded by :meth:`keep`; empty for runs of earlier versions."""
        return {self.path / name: str(digest) for name, digest in self.known().get("weights", {}).items()}

    def check_free(self) -> None:
        """Raise UserError if the folder is read-only, is no run folder, or is in use."""
        check_can_be_written(self.path, f"the run folder {self.path}")
        if self.path.exists() and not (self.path / "config.yaml").exists():
            own = ("run.log", "status.json")  # a run that waits for its turn has no more
            others = sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".") and p.name not in own)
            if others:
                raise UserError(f"{self.path} is no run folder: it holds {others[0]}; use another (paths.run=FOLDER)")
        owner = holder(self.path)
        if owner is not None:
            raise InUseError(f"the run folder {self.path} is in use by {owner}; wait, or stop it")

    def lease(self) -> AbstractContextManager[None]:
        """Hold the folder for this process; see :func:`nas.run.lease.lease`."""
        return lease(self.path)

    def begin(
        self,
        settings: Mapping[str, Any],
        fingerprints: Mapping[str, str],
        labels: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Record settings, fingerprints, names and this start of the run; return the run's id.

        Args:
            settings: Resolved.
            fingerprints: Fingerprints of data, network and space.
            labels: Names of the run for trackers.
            facts: Facts that stay as they were at the start: ``box``, ``about``, ``images``, and ``sizes``, see
                :meth:`nas.dataset.base.Dataset.sizes`.
        """
        known: dict[str, Any] = {
            "id": uuid4().hex[:12],
            "fingerprints": dict(fingerprints),
            "labels": dict(labels or {}),
            **(facts or {}),
        }
        known |= {"settings": settings_digest(settings)} | self.known()
        try:
            self.settings()
        except (FileNotFoundError, ValueError) as error:
            if isinstance(error, ValueError):
                log.warning("%s; it is written anew, from the command line, whose settings are the same", error)
            write_text(self.path / "config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))
        versions = _versions()
        start = {"time": _now(), "command": sys.argv, "host": socket.gethostname(), "pid": os.getpid()} | versions
        log.info("command: %s", shlex.join(sys.argv))
        packages = ", ".join(f"{name} {number}" for name, number in versions["packages"].items())
        log.info("versions: Python %s, %s, git %s", versions["python"], packages, versions["git"])
        known["starts"] = [*known.get("starts", []), start]
        write_json(self.path / "run.json", sealed(known), indent=2)
        return str(known["id"])

    def settings(self) -> dict[str, Any]:
        """Return the settings of the run.

        Raises:
            FileNotFoundError: If there are none.
            ValueError: If they are damaged; the message names the file.
        """
        path = self.path / "config.yaml"
        try:
            settings = yaml.safe_load(path.read_text())
            known = self.known().get("settings")
            if isinstance(settings, dict) and known in (None, settings_digest(settings)):
                renamed: dict[str, Any] = with_moved_classes(settings)
                return renamed
        except (yaml.YAMLError, ValueError, TypeError):
            pass
        raise ValueError(f"{path} is damaged")

    def front(self) -> dict[str, Any]:
        """Return the content of ``front.json``.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is damaged; the message names the file.
        """
        return read_sealed(self.path / "front.json", required=False)

    def identity(self) -> dict[str, Any]:
        """Return the content of ``run.json``: id, fingerprints, names and starts.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is damaged; the message names the file.
        """
        return read_sealed(self.path / "run.json", required=False)

    def known(self) -> dict[str, Any]:
        """Return the content of ``run.json``; empty if it is absent or, with a warning, damaged."""
        try:
            return self.identity()
        except FileNotFoundError:
            pass
        except ValueError as error:
            log.warning("%s; it is written anew", error)
        return {}

    def write_status(self, state: str, **facts: Any) -> None:
        """Write ``status.json``; see :class:`nas.run.status.StatusFile`."""
        self.status.write(state, **facts)

    def is_finished(self) -> bool:
        """Whether the run is finished: its status says so, and its front and archive agree."""
        if self.status.read().get("state") != "finished":
            return False
        try:
            front = self.front()
            archive = Archive.reopen(self.path / "archive.jsonl")
        except (OSError, ValueError, NasError):
            return False
        counted = archive.next_step - 1, archive.n_evaluations()
        return (front.get("finished"), front.get("step"), front.get("evaluations")) == (
            True,
            *counted,
        )


def told(fingerprint: str, sizes: Mapping[str, int] | None) -> str:
    """Return for people what is known about data.

    Args:
        fingerprint: Fingerprint of the data.
        sizes: See :meth:`nas.dataset.base.Dataset.sizes`; ``None`` where nobody wrote it down.
    """
    if sizes is None:
        return f"others (fingerprint {fingerprint[:8]})"
    images = sum(number for name, number in sizes.items() if name != "classes")
    return f"{images:,} images of {sizes['classes']:,} classes (fingerprint {fingerprint[:8]})"


def result_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide the results, without the seed."""
    return {key: value for key, value in settings.items() if key not in (*FREE_SETTINGS, "seed")}


def with_moved_classes(node: Any) -> Any:
    """Return settings with current class names in place of those of earlier versions."""
    if isinstance(node, dict):
        return {
            key: MOVED_CLASSES.get(value, value) if key == "_target_" else with_moved_classes(value)
            for key, value in node.items()
        }
    return [with_moved_classes(each) for each in node] if isinstance(node, list) else node


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the settings that must be equal when a run resumes."""
    decisive = {key: value for key, value in settings.items() if key not in FREE_SETTINGS}
    return sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, Any]:
    packages = {}
    for name in ("nas", *_PACKAGES):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {"python": platform.python_version(), "packages": packages, "git": _git_revision()}


def revision(identity: Mapping[str, Any]) -> str | None:
    """Return the git revision of the run's last start, from :meth:`RunFolder.identity`."""
    starts = identity.get("starts") or [{}]
    found = starts[-1].get("git")
    return None if found is None else str(found)


def _git_revision() -> str | None:
    command: Sequence[str] = ("git", "describe", "--always", "--dirty", "--abbrev=40")
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def short_names(folders: Sequence[Path], key: str) -> tuple[str, ...]:
    """Return the shortest ends of paths that are different, for example ``"digits/seed_0"``.

    Args:
        folders: Resolved paths.
        key: The setting that lists them, for messages.

    Raises:
        UserError: If a folder is listed twice, or none is.
    """
    if not folders:
        raise UserError(f"{key} is empty; list at least one folder")
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise UserError(f"{key} lists '{folder}' twice")
    length = 1
    while len({folder.parts[-length:] for folder in folders}) < len(folders):
        length += 1
    return tuple("/".join(part for part in folder.parts[-length:] if part != folder.anchor) for folder in folders)
