"""What the tasks that work on one model share."""

from nas.experiment import Experiment
from nas.model.given import Given


def given_by(experiment: Experiment) -> Given:
    """Return what a command line names beside a model.

    Tasks whose ``conf/task`` file chooses ``dataset: none`` and ``supernet: none`` by default can tell whether others
    were named.

    Raises:
        UserError: if the device is not there.
    """
    return Given(
        settings={group: experiment.resolved[group] for group in ("dataset", "supernet", "evaluator")},
        device=experiment.device,
        cache=experiment.paths.cache,
        allowed=experiment.allowed,
    )
