"""Processor time of each test; ``--cpu-times`` prints the slowest."""

import resource
import time
from collections.abc import Iterator

import pytest

SHOWN = 20
"""Tests that are printed."""

_PROPERTY = "processor seconds"


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure the test itself; fixtures that several tests share are nobody's."""
    start = _used()
    try:
        return (yield)
    finally:
        item.user_properties.append((_PROPERTY, round(_used() - start, 3)))


def seconds_by_test(terminal: pytest.TerminalReporter) -> dict[str, float]:
    """Return the processor time of each test, in seconds, most first."""
    reports = [report for outcome in ("passed", "failed") for report in terminal.stats.get(outcome, ())]
    found = {
        report.nodeid: value
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tests that take most processor time."""
    if config.getoption("--cpu-times"):
        slowest = list(seconds_by_test(terminalreporter).items())[:SHOWN]
        terminalreporter.section(f"{len(slowest)} slowest tests, seconds of processor time")
        for name, seconds in slowest:
            terminalreporter.line(f"{seconds:6.2f}  {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--cpu-times``."""
    parser.addoption("--cpu-times", action="store_true", help=f"print the {SHOWN} tests that take most processor time")
