"""What the tasks that work on one model share."""

from nas.model.given import Given
from nas.task.base import Setup
from nas.task.device import torch_device


def given_by(setup: Setup) -> Given:
    """Return what a command line names beside a model.

    Tasks whose ``conf/task`` file chooses ``dataset: none`` and ``supernet: none`` by default can tell whether others
    were named.

    Raises:
        UserError: if the device is not there.
    """
    return Given(
        settings={group: setup.resolved[group] for group in ("dataset", "supernet", "evaluator")},
        device=torch_device(setup.settings.device),
        cache=setup.paths.cache,
        allowed=setup.allowed,
    )
