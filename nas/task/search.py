"""``task=search``: one search, from its settings to the front on the test set."""

import inspect
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from threadpoolctl import threadpool_limits

from nas.algorithm.base import Algorithm
from nas.cache import check_cache
from nas.cascade.joint_evaluator import JointEvaluator
from nas.dataset.base import Dataset
from nas.dataset.classes import IMAGENET_CLASSES, taken_in_order
from nas.errors import UserError, unknown
from nas.evaluator.base import ArrayEvaluator, Evaluator
from nas.evaluator.subnet import SubnetEvaluator
from nas.executor.base import Executor
from nas.objective.base import TOP1_ERROR, Cost, Measurement, Objective
from nas.objective.cost import TableCost
from nas.parts import build
from nas.pool.none import NoPool, Specimen
from nas.pool.rebuilt import Rebuilt, check_way_back
from nas.pool.runs import RunsPool
from nas.run.archive import Archive
from nas.run.box import Box, of_space, recorded, stated
from nas.run.finished import checkpoint_fingerprint
from nas.run.folder import RunFolder, revision
from nas.run.results import Results
from nas.search import Search
from nas.space.base import SearchSpace
from nas.space.constrained import Bound, Constrained
from nas.space.table import AdditiveTable
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.supernet.joint import Several
from nas.task.about import box_line, data_line, minimised_line, space_line, split_sizes
from nas.task.base import Settings, Setup, Task
from nas.task.device import torch_device
from nas.task.replica import EvaluatorReplica, Replica, objectives_of, with_space
from nas.tracker.base import RunInfo
from nas.tracker.csv import CsvTracker
from nas.tracker.together import Timed, Together, log_tracker
from nas.training.base import Training
from nas.training.joint import JointTraining
from nas.training.none import NoTraining

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a search is made of."""

    space: SearchSpace
    objectives: list[Objective]
    fingerprints: dict[str, str]
    training: Training
    evaluator: Evaluator | ArrayEvaluator
    algorithm: Algorithm
    executor: Executor


@final
class SearchTask(Task):
    """Builds the parts in the order in which they need each other, and runs the loop."""

    has_run_folder = True

    def __init__(self, *, setup: Setup) -> None:
        """Take what the command line says."""
        self._setup = setup
        self._folder = RunFolder(setup.paths.run)

    def check(self) -> None:
        """Build every part but the trackers, and look at the run folder; nothing is trained or written."""
        self._folder.check_settings(self._setup.resolved)
        if self._is_done():
            self._check_finished()
            return
        self._folder.check_free()
        self._check_way_back()
        offers = self.offers()
        if isinstance(offers["pool"], NoPool):
            self._folder.check_data(self.parts(offers).fingerprints, offers["dataset"].sizes)
        else:  # what is in it is known when its outputs are stored
            self.parts(offers | {"pool": Specimen()})

    def _check_way_back(self) -> None:
        """Find own parts that could not be used any more after the search."""
        setup, source = self._setup, Path("the command line")
        places: dict[str, Any] = {"device": "cpu", "cache": setup.paths.cache, "allowed": setup.allowed}
        check_way_back(Rebuilt(settings=setup.resolved, source=source, folder=self._folder.path, **places))

    def _check_finished(self) -> None:
        """Compare the data with the run's; code may have changed since."""
        dataset = build(self._setup.parts["dataset"], {"cache": self._setup.paths.cache, "device": "cpu"})
        self._folder.check_data({"dataset": dataset.fingerprint}, dataset.sizes)

    def run(self) -> str:
        """Run the search, or go on with it, or say that it is finished; return what to tell the user."""
        if self._is_done():
            self._folder.check_settings(self._setup.resolved)
            if self._setup.settings.store_outputs:
                self._store_outputs(self.offers())
            return f"This run is finished: see {os.path.relpath(self._folder.path / 'front.json')}"
        torch.set_num_threads(self._setup.settings.threads)
        with threadpool_limits(self._setup.settings.threads), self._folder.lease():
            self._folder.check_settings(self._setup.resolved)
            with self._folder.status.kept():
                offers = self.offers()
                offers["pool"].prepare(_stored)
                parts = self.parts(offers)
                self._tell_of_classes(offers["dataset"])
                results, tracker, remark = self._search(parts, offers)
            if self._setup.settings.store_outputs:
                with parts.executor.device():
                    self._store_outputs(offers)
        return f"{results.conclusion(remark)}\n{tracker.conclusion()}"

    def _tell_of_classes(self, dataset: Dataset) -> None:
        """Warn where the classifier of published weights is kept for classes that may be in another order."""
        node = self._setup.resolved["supernet"]
        if dataset.n_classes == IMAGENET_CLASSES and node.get("checkpoint", RANDOM) != RANDOM:
            note = taken_in_order("the published weights", dataset)
            if note:
                log.warning(note)

    def _search(self, parts: Parts, offers: Mapping[str, Any]) -> tuple[Results, Timed, str | None]:
        """Run the loop; what it found is in the folder when this returns."""
        self._folder.check_data(parts.fingerprints, offers["dataset"].sizes)
        measures = [TOP1_ERROR, *(objective.measure for objective in parts.objectives)]
        archive = Archive.resume(self._folder.path / "archive.jsonl", measures, parts.space.names)
        facts = {**self._facts(parts, archive, offers), "sizes": offers["dataset"].sizes()}
        results = Results(archive, self._folder.path, recorded(facts["box"]), facts["images"])
        with self._tracked(parts, archive, results, facts) as tracker:
            search = Search(
                folder=self._folder,
                archive=archive,
                space=parts.space,
                objectives=parts.objectives,
                algorithm=parts.algorithm,
                training=parts.training,
                evaluator=parts.evaluator,
                executor=parts.executor,
                tracker=tracker,
                results=results,
                seed=self._setup.settings.seed,
            )
            search.run(self._setup.settings.retry_failed)
            last = results.summary(archive.next_step - 1)
            self._folder.write_status(
                "running",
                step=last.step,
                steps=archive.next_step,  # fewer than planned where nothing was left
                hypervolume=last.hypervolume,
                box=last.box.words(archive.measures),
                failed=last.failed,
            )
        return results, tracker, search.remark()

    def _store_outputs(self, offers: Mapping[str, Any]) -> None:
        """Store what the front's networks answer, as far as that is not done."""
        places = {name: offers[name] for name in ("device", "cache", "allowed")}
        pool = RunsPool(runs=(self._folder.path,), workers=1, named=self._setup.resolved["dataset"], **places)
        pool.prepare(_stored)

    def _is_done(self) -> bool:
        return self._folder.is_finished() and not self._setup.settings.retry_failed

    def offers(self) -> dict[str, Any]:
        """Return the runtime arguments that need no networks."""
        device = torch_device(self._setup.settings.device)
        offers: dict[str, Any] = {"cache": self._setup.paths.cache, "device": device, "allowed": self._setup.allowed}
        offers |= {"folder": self._folder.path, "kept": self._folder.kept(), "run_seed": self._setup.settings.seed}
        offers["shares"] = 1
        parts = self._setup.parts
        replica = Replica(parts["dataset"], parts["supernet"], offers["cache"])
        offers["replica"] = replica
        offers["evaluator_replica"] = EvaluatorReplica(
            replica, self._setup.settings.threads, parts["space"], parts["sec_obj"], parts["evaluator"]
        )
        dataset = build(self._setup.parts["dataset"], offers)
        offers |= {"dataset": dataset, "n_classes": dataset.n_classes}
        return offers | {"pool": build(self._setup.parts["pool"], offers)}

    def parts(self, offers: dict[str, Any]) -> Parts:
        """Return the parts of the run; ``offers`` gain what they offer each other."""
        settings, parts = self._setup.settings, self._setup.parts
        dataset, supernet = offers["dataset"], build(parts["supernet"], offers)
        offers["supernet"] = supernet
        offers |= with_space(parts["space"], offers)
        source, objectives = offers["source"], objectives_of(parts["sec_obj"], offers)
        if not objectives:
            raise UserError("sec_obj is empty: a search needs a second objective, for example sec_obj=[flops]")
        _check_points(settings, [TOP1_ERROR.name, *(objective.measure.name for objective in objectives)])
        limits = bounds(settings.constraints, objectives, offers["tables"])
        can_tell = not isinstance(offers["pool"], Specimen)  # whether an architecture keeps them
        space = Constrained(source.space, limits) if limits and can_tell else source.space
        offers |= {"objectives": objectives, "space": space}
        used = inspect.signature(parts["algorithm"]).parameters
        offers |= {
            group: build(parts[group], offers) for group in ("surrogate", "optimizer", "selector") if group in used
        }
        evaluator = build(parts["evaluator"], offers | {"space": source.space})
        if settings.store_outputs:
            check_cache(offers["cache"])
        if settings.store_outputs and not isinstance(evaluator, SubnetEvaluator | JointEvaluator):
            raise UserError("store_outputs=true needs networks that are evaluated on images: evaluator=subnet")
        if isinstance(supernet, Several) and not isinstance(evaluator, JointEvaluator):
            raise UserError("several supernets are measured as cascades: evaluator=joint")
        offers["evaluator"] = evaluator
        executor = build(parts["executor"], offers)
        if executor.elsewhere and isinstance(evaluator, ArrayEvaluator):
            raise UserError(
                f"executor={self._setup.choices['executor']} would do nothing: evaluator="
                f"{self._setup.choices['evaluator']} needs no other process; use executor=serial"
            )
        training, algorithm = build(parts["training"], offers), build(parts["algorithm"], offers)
        _check_weights(supernet, training, algorithm)
        measured = [objective.measure.name for objective in objectives if isinstance(objective, Measurement)]
        if measured and isinstance(evaluator, ArrayEvaluator):
            raise UserError(
                f"sec_obj={measured[0]} is measured on networks, and evaluator={self._setup.choices['evaluator']} runs "
                "none: choose sec_obj=[flops]"
            )
        fingerprints = {"dataset": dataset.fingerprint, **checkpoint_fingerprint(supernet)}
        fingerprints |= {"supernet": supernet.fingerprint, "space": source.fingerprint}
        return Parts(
            space=space,
            objectives=objectives,
            fingerprints=fingerprints,
            training=training,
            evaluator=evaluator,
            algorithm=algorithm,
            executor=executor,
        )

    def _facts(self, parts: Parts, archive: Archive, offers: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is fixed when the run begins: the box of its hypervolumes, what is searched, sizes of splits.

        A run that was begun before boxes were recorded keeps its own.
        """
        known = self._folder.known()
        if archive.commits and known:
            said = stated(self._setup.settings.reference_point, self._setup.settings.ideal_point)
            box = known.get("box") or (None if said is None else said.record())
            return {"box": box, "about": known.get("about", {}), "images": known.get("images", {})}
        setup, source, pool = self._setup, offers["source"], offers["pool"]
        found = self._box(parts, offers)
        looked_up = isinstance(parts.evaluator, ArrayEvaluator) and isinstance(pool, NoPool)
        images = {} if looked_up else split_sizes(offers["dataset"], pool)
        name = f"pool of {len(pool.names):,} networks" if pool.names else setup.choices["dataset"]
        steps, evaluations = parts.algorithm.steps, parts.algorithm.evaluations
        about = {
            "data": data_line(name, source.n_classes or offers["n_classes"], images),
            "space": space_line(source.space, setup.settings.constraints),
            "minimised": minimised_line(archive.measures),
            "budget": f"{evaluations:,} evaluations in {steps:,} steps" if steps > 1 else "one search",
            "hypervolume": box_line(found, archive.measures),
        }
        return {"box": None if found is None else found.record(), "about": about, "images": images}

    def _box(self, parts: Parts, offers: Mapping[str, Any]) -> Box | None:
        """Return the box that all runs of the experiment have; ``None`` where nothing says where it ends."""
        ranges = []
        for objective in parts.objectives:
            limits, constraint = objective.limits(), self._setup.settings.constraints.get(objective.measure.name, {})
            least, most = constraint.get("min"), constraint.get("max")
            if limits is not None:
                low, high = limits
                limits = (low if least is None else max(low, least), high if most is None else min(high, most))
            ranges.append(limits)
        said = stated(self._setup.settings.reference_point, self._setup.settings.ideal_point)
        return said or of_space(offers["source"].n_classes or offers["n_classes"], ranges)

    @contextmanager
    def _tracked(self, parts: Parts, archive: Archive, results: Results, facts: Mapping[str, Any]) -> Iterator[Timed]:
        """Tell the run's trackers that it goes on, and how it ended."""
        setup = self._setup
        names = [setup.choices[group] for group in ("dataset", "supernet", "algorithm")]
        labels: dict[str, Any] = {
            "group": setup.group,
            "name": f"{setup.group}-seed{setup.settings.seed}",
            "task": setup.choices["task"],
            "tags": (*names, *setup.parts["sec_obj"]),
        }
        run = RunInfo(
            folder=self._folder.path,
            id=self._folder.begin(setup.resolved, parts.fingerprints, labels, facts),
            **labels,
            config=setup.resolved,
            objectives=archive.measures,
            steps=parts.algorithm.steps,
            evaluations=parts.algorithm.evaluations,
            about=facts["about"],
            revision=revision(self._folder.identity()),
        )
        chosen = build(setup.parts["tracker"], {})
        on_screen = [] if isinstance(chosen, CsvTracker) else [chosen]
        tracker = Timed(Together([CsvTracker(), log_tracker(), *on_screen]))
        error: str | None = "killed"
        done = {"step": archive.next_step - 1} if archive.next_step else {}
        self._folder.write_status("running", **done, steps=run.steps)
        tracker.start(run, [results.summary(step) for step in range(archive.next_step)])
        try:
            yield tracker
            error = None
        except BaseException as exception:
            error = f"{type(exception).__name__}: {exception}".strip()
            raise
        finally:
            tracker.finish(error)


def _stored(done: int, total: int, name: str) -> None:
    log.info("stored outputs of %d of %d models: %s", done, total, name)


def _check_weights(supernet: Supernet, training: Training, algorithm: Algorithm) -> None:
    """Raise UserError if a training does not fit the supernet, or an algorithm to weights that stay or adapt."""
    if isinstance(supernet, Several) and not isinstance(training, JointTraining | NoTraining):
        raise UserError(
            "several supernets are trained each on its own: training=joint, or training=none "
            "with algorithm.reevaluate=false"
        )
    if algorithm.reevaluates and not training.moves and isinstance(supernet, Several):
        raise UserError(
            "evaluating again needs weights that adapt: leave training as algorithm=encas_joint has it, or "
            "algorithm.reevaluate=false"
        )
    if algorithm.reevaluates and not training.moves:
        raise UserError("evaluating again needs weights that adapt: training=nat, or algorithm.reevaluate=false")
    if training.moves and not algorithm.reevaluates:
        raise UserError("weights that adapt make earlier evaluations stale: algorithm=nat, or training=none")


def _check_points(settings: Settings, names: Sequence[str]) -> None:
    """Raise UserError if the corners of the hypervolume's box do not fit the objectives of these names."""
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


def bounds(
    constraints: Mapping[str, Mapping[Literal["min", "max"], float | None]],
    objectives: Sequence[Objective],
    tables: Mapping[str, AdditiveTable],
) -> list[Bound]:
    """Return the limits of exact costs that constraints say.

    Args:
        constraints: ``min`` and ``max``, or ``None``, by the name of a cost.
        objectives: of the run; their costs may be constrained.
        tables: of the supernet: FLOPs and parameters may be constrained in any run.

    Raises:
        UserError: if a constraint is on no exact cost, or its limits contradict each other.
    """
    costs = {name: TableCost(cost=name, tables=tables) for name in ("flops", "params")}
    measured = {TOP1_ERROR.name, "latency", *(o.measure.name for o in objectives if not isinstance(o, Cost))}
    known: dict[str, Cost] = {name: cost for name, cost in costs.items() if cost.exact}
    known |= {o.measure.name: o for o in objectives if isinstance(o, Cost)}
    found = []
    for name, limits in constraints.items():
        least, most = limits.get("min"), limits.get("max")
        if least is None and most is None:
            continue
        if name in costs and name not in known:
            raise UserError(f"constraints.{name} bounds exact costs; those of cascades depend on what networks answer")
        if name in measured:
            raise UserError(
                f"constraints.{name}: {name} is measured, and only costs that are known before an architecture is "
                f"evaluated can be bounded ({', '.join(known)}); leave the bound out, and choose among the results: "
                "task=select"
            )
        if name not in known and name != "latency_table":
            raise unknown("key", f"constraints.{name}", [f"constraints.{each}" for each in (*known, "latency_table")])
        if name not in known:
            raise UserError(f"constraints.{name} needs sec_obj={name}, which says where its values come from")
        if least is not None and most is not None and least > most:
            raise UserError(f"constraints.{name}.min={least:g} is more than constraints.{name}.max={most:g}")
        found.append(Bound(name, known[name], least, most))
    return found
