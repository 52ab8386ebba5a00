"""Processor time of each test: the slowest are printed, and a fast test that takes too long fails the suite."""

import resource
import time
from collections.abc import Iterator

import pytest

LIMIT = 3.0
"""Seconds of processor time that a fast test may take, its fixtures and child processes included."""

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
    if config.getoption("--cpu-limit"):
        slowest = list(seconds_by_test(terminalreporter).items())[:SHOWN]
        terminalreporter.section(f"{len(slowest)} slowest tests, seconds of processor time")
        for name, seconds in slowest:
            terminalreporter.line(f"{seconds:6.2f}  {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--cpu-limit``."""
    parser.addoption("--cpu-limit", action="store_true", help=f"fail if a test takes over {LIMIT} s of processor time")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where a test took too long."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--cpu-limit") or terminal is None:
        return
    late = {name: seconds for name, seconds in seconds_by_test(terminal).items() if seconds > LIMIT}
    if late and session.exitstatus == 0:
        for name, seconds in late.items():
            terminal.write_line(f"{name} took {seconds:.1f} s of processor time; a fast test may take {LIMIT:g} s")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
