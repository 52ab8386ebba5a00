"""Work that is done while its last result is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, in their order, and make the next one in a thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as worker:
        waiting = worker.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = worker.submit(next, items, end)
            yield item  # type: ignore[misc]
