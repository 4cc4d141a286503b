"""Rules for the whole suite: the same vectors every time, and a skipped test is a failed run."""

import os

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: more threads of torch would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("vitric", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("vitric")


@pytest.fixture(scope="module")
def one_thread():
    """Keep torch on one thread for the tests of a module: more are slower on small tensors."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items):
    """Begin with the tests that take minutes, so that no core waits for another at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


_BANNED = ("skipped", "xfailed", "xpassed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of pytest-xdist; the process that started it reports
        return
    if exitstatus == 0 and any(reporter.stats.get(outcome) for outcome in _BANNED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for outcome in _BANNED:
        for report in terminalreporter.stats.get(outcome, []):
            terminalreporter.write_line(f"run failed: {report.nodeid} was {outcome}", red=True)
