"""``task=search``: one search, from its settings to the test of the final front."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
import yaml
from threadpoolctl import threadpool_limits

from nas.algorithm.base import Algorithm
from nas.cache import check_cache
from nas.cascade.joint_evaluator import JointEvaluator
from nas.dataset.base import Dataset
from nas.dataset.classes import IMAGENET_CLASSES, taken_in_order
from nas.errors import UserError
from nas.evaluator.base import ArrayEvaluator
from nas.experiment import COMMAND_LINE, Experiment
from nas.loop import Search
from nas.objective.base import TOP1_ERROR, Measurement
from nas.pool.none import NoPool, Specimen
from nas.pool.runs import RunsPool
from nas.run.archive import Archive
from nas.run.box import Box, of_space, recorded, stated
from nas.run.finished import checkpoint_fingerprint
from nas.run.folder import RunFolder, revision
from nas.run.results import Results
from nas.settings import Settings
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.supernet.joint import JointSupernet
from nas.targets import names_own
from nas.task.about import box_line, data_line, minimised_line, space_line, split_sizes
from nas.task.base import Task
from nas.tracker.base import RunInfo, told_end
from nas.tracker.csv import CsvTracker
from nas.tracker.together import Timed, Together, log_tracker
from nas.training.base import Training
from nas.training.joint import JointTraining
from nas.training.none import NoTraining

log = logging.getLogger(__name__)


@final
class SearchTask(Task):
    """Task that checks the parts of a search and runs it.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["dataset=digits", "supernet=tiny", "paths.run=outputs/demo"]).part("task")
        >>> type(task).__name__
        'SearchTask'
        >>> task.has_run_folder
        True
    """

    has_run_folder = True

    def __init__(self, *, experiment: Experiment) -> None:
        """Set the experiment."""
        self._experiment = experiment
        self._folder = RunFolder(experiment.paths.run)

    def check(self) -> None:
        """Build every part except the trackers, and check the run folder. Nothing is trained or written.

        Raises:
            UserError: If the parts do not fit each other, or the run folder belongs to another run.
        """
        experiment = self._experiment
        self._folder.check_settings(experiment.resolved)
        if self._is_done():  # only the data may have changed since
            self._folder.check_data({"dataset": experiment.dataset.fingerprint}, experiment.dataset.sizes)
            return
        self._folder.check_free()
        torch.set_num_threads(experiment.settings.threads)  # the key of cached weights contains their number
        check_own_parts(experiment)
        if isinstance(experiment.pool, NoPool):
            check_parts(experiment)
            self._folder.check_data(fingerprints(experiment), experiment.dataset.sizes)
        else:  # the pool's networks are known only after its outputs are stored
            check_parts(experiment.changed(dataset=experiment.dataset, pool=Specimen()))

    def run(self) -> str:
        """Start or resume the search, unless it is finished; return the results as text."""
        settings = self._experiment.settings
        if self._is_done():
            self._folder.check_settings(self._experiment.resolved)
            if settings.store_outputs:
                self._store_outputs()
            return f"This run is finished: see {os.path.relpath(self._folder.path / 'front.json')}"
        torch.set_num_threads(settings.threads)
        with threadpool_limits(settings.threads), self._folder.lease():
            self._folder.check_settings(self._experiment.resolved)
            with self._folder.status.kept():
                self._experiment.pool.prepare(_stored)
                check_parts(self._experiment)
                self._tell_of_classes()
                results, tracker, remark = self._search()
            if settings.store_outputs:
                with self._experiment.executor.device():
                    self._store_outputs()
        return f"{results.conclusion(remark)}\n{tracker.conclusion()}"

    def _tell_of_classes(self) -> None:
        """Warn if the classifier of published weights is kept for classes whose order may differ."""
        dataset, node = self._experiment.dataset, self._experiment.resolved["supernet"]
        if dataset.n_classes == IMAGENET_CLASSES and node.get("checkpoint", RANDOM) != RANDOM:
            note = taken_in_order("the published weights", dataset)
            if note:
                log.warning(note)

    def _search(self) -> tuple[Results, Timed, str | None]:
        """Run the search loop, which writes the results into the run folder."""
        experiment = self._experiment
        identity = fingerprints(experiment)
        self._folder.check_data(identity, experiment.dataset.sizes)
        measures = [TOP1_ERROR, *(objective.measure for objective in experiment.objectives)]
        archive = Archive.resume(self._folder.path / "archive.jsonl", measures, experiment.space.names)
        facts = {**self._facts(archive), "sizes": experiment.dataset.sizes()}
        results = Results(archive, self._folder.path, recorded(facts["box"]), facts["images"])
        with self._tracked(identity, archive, results, facts) as tracker:
            search = Search(
                folder=self._folder,
                space=experiment.space,
                objectives=experiment.objectives,
                algorithm=experiment.algorithm,
                training=experiment.training,
                evaluator=experiment.evaluator,
                executor=experiment.executor,
                tracker=tracker,
                results=results,
                seed=experiment.settings.seed,
            )
            search.run(experiment.settings.retry_failed)
            last = results.summary(archive.next_step - 1)
            self._folder.write_status(
                "running",
                step=last.step,
                steps=archive.next_step,  # fewer than planned if the search space ran out of architectures
                hypervolume=last.hypervolume,
                box=last.box.words(archive.measures),
                failed=last.failed,
            )
        return results, tracker, search.remark()

    def _store_outputs(self) -> None:
        """Store the missing outputs of the front's networks in the cache."""
        e = self._experiment
        pool = RunsPool(
            runs=(self._folder.path,), workers=1, named=e.named, device=e.device, cache=e.cache, allowed=e.allowed
        )
        pool.prepare(_stored)

    def _is_done(self) -> bool:
        return self._folder.is_finished() and not self._experiment.settings.retry_failed

    def _facts(self, archive: Archive) -> dict[str, Any]:
        """Return the facts that are fixed at the start: hypervolume box, description of the search, sizes of splits.

        A run of an older version, which did not record its box, keeps its own box.
        """
        known = self._folder.known()
        if archive.commits and known:
            said = stated(self._experiment.settings.reference_point, self._experiment.settings.ideal_point)
            box = known.get("box") or (None if said is None else said.record())
            return {"box": box, "about": known.get("about", {}), "images": known.get("images", {})}
        experiment, source, pool = self._experiment, self._experiment.source, self._experiment.pool
        found = self._box()
        looked_up = isinstance(experiment.evaluator, ArrayEvaluator) and isinstance(pool, NoPool)
        images = {} if looked_up else split_sizes(experiment.dataset, pool)
        name = f"pool of {len(pool.names):,} networks" if pool.names else experiment.choices["dataset"]
        steps, evaluations = experiment.algorithm.steps, experiment.algorithm.evaluations
        about = {
            "data": data_line(name, source.n_classes or experiment.n_classes, images),
            "space": space_line(source.space, experiment.settings.constraints),
            "minimised": minimised_line(archive.measures),
            "budget": f"{evaluations:,} evaluations in {steps:,} steps" if steps > 1 else "one search",
            "hypervolume": box_line(found, archive.measures),
        }
        return {"box": None if found is None else found.record(), "about": about, "images": images}

    def _box(self) -> Box | None:
        """Return the hypervolume box that all runs of the experiment share; ``None`` if the bounds are unknown."""
        settings, ranges = self._experiment.settings, []
        for objective in self._experiment.objectives:
            limits, constraint = objective.limits(), settings.constraints.get(objective.measure.name, {})
            least, most = constraint.get("min"), constraint.get("max")
            if limits is not None:
                low, high = limits
                limits = (low if least is None else max(low, least), high if most is None else min(high, most))
            ranges.append(limits)
        said = stated(settings.reference_point, settings.ideal_point)
        return said or of_space(self._experiment.source.n_classes or self._experiment.n_classes, ranges)

    @contextmanager
    def _tracked(
        self, identity: Mapping[str, str], archive: Archive, results: Results, facts: Mapping[str, Any]
    ) -> Iterator[Timed]:
        """Start the run's trackers, yield them, and finish them with the error, if any."""
        experiment = self._experiment
        names = [experiment.choices[group] for group in ("dataset", "supernet", "algorithm")]
        labels: dict[str, Any] = {
            "group": experiment.group,
            "name": f"{experiment.group}-seed{experiment.settings.seed}",
            "task": experiment.choices["task"],
            "tags": (*names, *experiment.resolved["sec_obj"]),
        }
        run = RunInfo(
            folder=self._folder.path,
            id=self._folder.begin(experiment.resolved, identity, labels, facts),
            **labels,
            config=experiment.resolved,
            objectives=archive.measures,
            steps=experiment.algorithm.steps,
            evaluations=experiment.algorithm.evaluations,
            about=facts["about"],
            revision=revision(self._folder.identity()),
        )
        chosen = experiment.tracker
        on_screen = [] if isinstance(chosen, CsvTracker) else [chosen]
        tracker = Timed(Together([CsvTracker(), log_tracker(), *on_screen]))
        done = {"step": archive.next_step - 1} if archive.next_step else {}
        self._folder.write_status("running", **done, steps=run.steps)
        tracker.start(run, [results.summary(step) for step in range(archive.next_step)])
        with told_end(tracker):
            yield tracker


def _stored(name: str, done: int, total: int) -> None:
    log.info("stored outputs of %d of %d models: %s", done, total, name)


def fingerprints(experiment: Experiment) -> dict[str, str]:
    """Return the fingerprints of a run's data set, weights, supernet and search space, by name."""
    found = {"dataset": experiment.dataset.fingerprint, **checkpoint_fingerprint(experiment.supernet)}
    return found | {"supernet": experiment.supernet.fingerprint, "space": experiment.source.fingerprint}


def check_parts(experiment: Experiment) -> None:
    """Build all parts of a search except the tracker.

    The classes of the parts are checked first, because building the supernet may download its weights.

    Raises:
        UserError: If the parts do not fit each other.
    """
    _check_kinds(experiment)
    settings, objectives = experiment.settings, experiment.objectives
    _check_points(settings, [TOP1_ERROR.name, *(objective.measure.name for objective in objectives)])
    if settings.store_outputs:
        check_cache(experiment.cache)
    used = [group for group in ("surrogate", "optimizer", "selector") if experiment.uses(group)]
    for group in ("space", *used, "evaluator", "executor", "training", "algorithm"):
        getattr(experiment, group)
    _check_weights(experiment.supernet, experiment.training, experiment.algorithm)
    measured = [objective.measure.name for objective in objectives if isinstance(objective, Measurement)]
    if measured and isinstance(experiment.evaluator, ArrayEvaluator):
        raise UserError(
            f"sec_obj={measured[0]} is measured on networks, and evaluator={experiment.choices['evaluator']} runs "
            f"none: choose sec_obj=[flops]"
        )


def check_own_parts(experiment: Experiment) -> None:
    """Raise UserError if parts from outside ``nas`` cannot be rebuilt from the settings in the run folder.

    Without such parts nothing is built.
    """
    settings = experiment.resolved
    groups = ("dataset", "supernet", "training", "evaluator")
    own = {name for name in groups if name not in experiment.given and names_own(settings.get(name))}
    if not own:
        return
    written = yaml.safe_load(yaml.safe_dump(dict(settings)))
    places: dict[str, Any] = {"folder": experiment.folder, "device": "cpu", "cache": experiment.cache}
    places |= {"allowed": experiment.allowed, "origin": COMMAND_LINE}
    again = Experiment.of_folder(written, **places)
    if "dataset" in own:
        _check_contract(again.dataset, Dataset, "dataset", settings)
        if again.changed().dataset.fingerprint != again.dataset.fingerprint:
            raise UserError(
                f"{_own_name(settings, 'dataset')} is another data set each time that it is built: its fingerprint "
                f"must follow from its settings"
            )
    if "supernet" in own:
        node = again.resolved["supernet"]
        random = {"checkpoint": RANDOM} if "checkpoint" in node else {}  # model folders have weights of their own
        alone = Experiment.of_folder({"supernet": {**node, **random}}, **places, parts={"n_classes": again.n_classes})
        _check_contract(alone.supernet, Supernet, "supernet", settings)
        again = again.changed(dataset=again.dataset, supernet=alone.supernet)
    if "training" in own:
        again.changed(supernet=again.supernet, kept={}, replica=None).training  # noqa: B018 -- built
    if "evaluator" in own:
        again.changed(supernet=again.supernet, objectives=(), pool=None).evaluator  # noqa: B018 -- built


def _check_contract(part: object, kind: type[Any], group: str, settings: Mapping[str, Any]) -> None:
    """Raise UserError if a part lacks an attribute that its base class declares."""
    for name in kind.__annotations__:
        if not hasattr(part, name):
            raise UserError(f"{_own_name(settings, group)} has no '{name}', which every {kind.__name__} has")


def _own_name(settings: Mapping[str, Any], group: str) -> str:
    return f"{group}._target_={settings[group]['_target_']}"


def _check_kinds(experiment: Experiment) -> None:
    """Raise UserError if the classes of the parts do not fit each other."""
    choices, evaluator = experiment.choices, experiment.kind("evaluator")
    if not experiment.resolved["sec_obj"]:
        raise UserError("sec_obj is empty: a search needs a second objective, for example sec_obj=[flops]")
    if experiment.settings.store_outputs and not evaluator.runs_networks:
        raise UserError("store_outputs=true needs networks that are evaluated on images: evaluator=subnet")
    if issubclass(experiment.kind("supernet"), JointSupernet) and not issubclass(evaluator, JointEvaluator):
        raise UserError("several supernets are measured as cascades: evaluator=joint")
    if experiment.kind("executor").elsewhere and issubclass(evaluator, ArrayEvaluator):
        raise UserError(
            f"executor={choices['executor']} would do nothing: evaluator={choices['evaluator']} needs no other "
            f"process; use executor=serial"
        )


def _check_weights(supernet: Supernet, training: Training, algorithm: Algorithm) -> None:
    """Raise UserError if the training does not fit the supernet, or the algorithm does not fit the training."""
    if isinstance(supernet, JointSupernet) and not isinstance(training, JointTraining | NoTraining):
        raise UserError(
            "several supernets are trained each on its own: training=joint, or training=none "
            "with algorithm.reevaluate=false"
        )
    if algorithm.reevaluates and not training.moves and isinstance(supernet, JointSupernet):
        raise UserError(
            "evaluating again needs weights that adapt: leave training as algorithm=encas_joint has it, or "
            "algorithm.reevaluate=false"
        )
    if algorithm.reevaluates and not training.moves:
        raise UserError("evaluating again needs weights that adapt: training=nat, or algorithm.reevaluate=false")
    if training.moves and not algorithm.reevaluates:
        raise UserError("weights that adapt make earlier evaluations stale: algorithm=nat, or training=none")


def _check_points(settings: Settings, names: Sequence[str]) -> None:
    """Raise UserError if ``reference_point`` and ``ideal_point`` do not fit the objectives with these names."""
    for key, point in (("reference_point", settings.reference_point), ("ideal_point", settings.ideal_point)):
        if point is not None and len(point) != len(names):
            raise UserError(f"{key} has {len(point)} values; this run has {len(names)} objectives: {', '.join(names)}")
    if settings.ideal_point is None:
        return
    if settings.reference_point is None:
        raise UserError("ideal_point needs reference_point, the other corner of the hypervolume's box")
    for ideal, worst, name in zip(settings.ideal_point, settings.reference_point, names, strict=True):
        if ideal >= worst:
            raise UserError(f"ideal_point's {name}, {ideal:g}, must be below reference_point's, {worst:g}")
