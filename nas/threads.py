"""Threads of one process that search at the same time: which one computes, and with how many library threads."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from nas.errors import UserError

_computing = threading.RLock()
_lock = threading.Lock()
_numbers: list[int] = []  # library threads of each search under way, all equal
_limits = ExitStack()


def computing() -> AbstractContextManager[object]:
    """Return a context that one thread of the process holds at a time, while it trains, evaluates or proposes.

    Limits of linear algebra and torch's global random generator belong to the process: two searches that compute at
    once would change each other's results.

    Example:
        >>> with computing():
        ...     print("alone")
        alone
    """
    return _computing


@contextmanager
def proposing() -> Iterator[None]:
    """Let this thread alone compute in its process, with one thread of linear algebra.

    The last digits of linear algebra depend on its number of threads, and for a few hundred architectures two are no
    faster.
    """
    from threadpoolctl import threadpool_limits

    with computing(), threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def library_threads(number: int) -> Iterator[None]:
    """Let torch and linear algebra use a number of threads; afterwards the numbers are as before.

    Args:
        number: Number of threads, 1 or more.

    Raises:
        UserError: If a search in another thread of this process uses another number.

    Example:
        >>> import torch
        >>> with library_threads(1):
        ...     torch.get_num_threads()
        1
    """
    import torch
    from threadpoolctl import threadpool_limits

    with _lock:
        if _numbers and _numbers[0] != number:
            raise UserError(
                f"another search in this process uses threads={_numbers[0]}: give threads={_numbers[0]}, or run one of "
                f"them in a process of its own"
            )
        if not _numbers:
            _limits.enter_context(threadpool_limits(number))
        _numbers.append(number)
    before = torch.get_num_threads()  # of this thread alone
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        with _lock:
            _numbers.pop()
            if not _numbers:
                _limits.close()
