"""Progress as runs of Weights & Biases."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from nas.files import write_text
from nas.tracker.base import RunInfo, StepSummary, Tracker, harmless
from nas.types import PositiveFloat

if TYPE_CHECKING:
    import wandb

LONGEST_TAG = 64
"""Characters; the service refuses longer tags."""


@final
class WandbTracker(Tracker):
    """Logs every step to Weights & Biases, and passes all calls on to a second tracker for the screen.

    A run keeps its id when it is resumed and then logs its new steps only: online they join the run; offline they
    are a second folder with the same id below ``<run folder>/wandb`` (``wandb sync`` uploads them). The metrics
    are those of ``StepSummary`` over ``step``: ``best/<objective>``, ``seconds/<activity>``, a table ``front`` and the
    picture ``front_picture``. The settings win over environment variables, but for the credentials, the server's
    address, and the entity where it is not set.

    Failures of the service or the network never stop a run: the first is logged, and the run goes on.
    """

    def __init__(
        self,
        *,
        mode: Literal["offline", "online", "disabled"],
        project: str,
        entity: str | None,
        tags: tuple[str, ...],
        timeout: PositiveFloat,
        display: Tracker,
    ) -> None:
        """Choose where runs are logged.

        Args:
            mode: ``"offline"`` writes to the run folder, ``"online"`` uploads as well, ``"disabled"`` only displays.
            project: name of the project.
            entity: user or team; ``None`` for the account's default.
            tags: put on runs in addition to the names of their parts.
            timeout: seconds that connecting, and the upload that is left at the end, may each take.
            display: receives every call too.
        """
        self._mode = mode
        self._project = project
        self._entity = entity
        self._tags = tags
        self._timeout = timeout
        self._display = display
        self._run: wandb.Run | None = None

    def start(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        """Open the run, or go on with it where there is history."""
        if self._mode != "disabled":
            self._open(run, history)
        self._display.start(run, history)

    def progress(self, what: str, done: int, total: int, failed: int = 0) -> None:
        """Display only."""
        self._display.progress(what, done, total, failed)

    def step(self, summary: StepSummary, picture: Path | None) -> None:
        """Log the step's numbers, its front and the picture."""
        self._display.step(summary, picture)
        if self._run is not None:
            self._log(self._run, summary, picture)

    def finish(self, error: str | None) -> None:
        """Close the run, as failed where there was an error, so that the next run of this process is another one."""
        self._display.finish(error)
        if self._run is not None:
            self._close(self._run, error)

    @harmless
    def _open(self, run: RunInfo, history: Sequence[StepSummary]) -> None:
        import wandb

        self._last_step = run.folder / "wandb" / "last_step"
        self._step = history[-1].step if history else -1
        self._objectives = [objective.name for objective in run.objectives]
        settings = wandb.Settings(
            reinit="create_new",
            console="off",
            silent=True,
            init_timeout=self._timeout,
            login_timeout=self._timeout,
            finish_timeout=self._timeout,
            # The run folder already names the versions and the revision; without these a start takes 10 ms, not 65.
            disable_code=True,
            disable_git=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self._run = wandb.init(
            mode=self._mode,
            dir=run.folder,
            project=self._project,
            entity=self._entity,
            id=run.id,
            resume="allow",
            group=run.group,
            job_type=run.task,
            name=run.name,
            tags=[tag[:LONGEST_TAG] for tag in dict.fromkeys((*run.tags, *self._tags))],
            config=dict(run.config),
            settings=settings,
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        logged = int(self._last_step.read_text()) if self._last_step.exists() else -1
        for summary in history:
            if summary.step > logged:  # a process that dies may take what it logged with it
                self._log(self._run, summary, None)

    @harmless
    def _log(self, run: "wandb.Run", summary: StepSummary, picture: Path | None) -> None:
        import wandb

        rows = [
            [
                entry["step"],
                *(entry["objectives"][name] for name in self._objectives),
                json.dumps(entry["architecture"]),
            ]
            for entry in summary.front
        ]
        data = self._numbers(summary)
        data["front"] = wandb.Table(columns=["step", *self._objectives, "architecture"], data=rows)
        if picture is not None:
            data["front_picture"] = wandb.Image(str(picture))
        run.log(data, step=summary.step)
        self._step = summary.step

    def _numbers(self, summary: StepSummary) -> dict[str, Any]:
        surrogate: Mapping[str, float | None] = {
            "rmse": summary.rmse,
            "rho": summary.rho,
            "tau": summary.tau,
            "rmse_archive": summary.rmse_archive,
            "rho_archive": summary.rho_archive,
            "tau_archive": summary.tau_archive,
            **{f"rho/{name}": value for name, value in summary.parts.items()},
        }
        return {
            "step": summary.step,
            "evaluations": summary.evaluations,
            "failed": summary.failed,
            "hypervolume": summary.hypervolume,
            "front_size": summary.front_size,
            **{f"best/{name}": value for name, value in zip(self._objectives, summary.best, strict=True)},
            **{name: value for name, value in surrogate.items() if value is not None},
            **{f"seconds/{name}": value for name, value in summary.seconds.items()},
        }

    @harmless
    def _close(self, run: "wandb.Run", error: str | None) -> None:
        self._run = None
        run.finish(exit_code=0 if error is None else 1)
        write_text(self._last_step, str(self._step))
