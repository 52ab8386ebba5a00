"""Evaluation one after the other, in the run's own process."""

import traceback
from collections.abc import Iterator, Sequence
from typing import final

from nas.executor.base import Evaluate, Executor
from nas.types import Architecture, Evaluation


@final
class Serial(Executor):
    """Evaluates in the order given."""

    def map(self, evaluate: Evaluate, architectures: Sequence[Architecture]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index, evaluation) pairs in order."""
        for index, architecture in enumerate(architectures):
            try:
                evaluation = Evaluation(evaluate(architecture))
            except Exception:  # whatever went wrong is the architecture's result
                evaluation = Evaluation({}, error=traceback.format_exc())
            yield index, evaluation
