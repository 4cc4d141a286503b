"""Tasks on a local cluster and on a scheduler of one's own, with workers that are lost."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner
from vitric.flow import tasks
from vitric.flow.cli import app
from vitric.flow.inputs.sources import ROOT
from vitric.flow.tasks import Workers, run_tasks
from vitric.golden.errors import ToolFailure, UserError

from tests.flow import task_functions
from tests.processes import wait_for

NUMBERS = {f"number {number}": number for number in range(6)}


def started(program, *arguments):
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Return the address of a scheduler with two workers, one of which would run two tasks at once."""
    folder = tmp_path_factory.mktemp("cluster")
    place, common = folder / "scheduler.json", ("--dashboard-address", "127.0.0.1:0", "--scheduler-file")
    processes = [started("scheduler", "--host", "127.0.0.1", "--port", 0, *common, place)]
    try:
        wait_for(lambda: place.exists() and place.read_text(), 30)
        processes += [started("worker", *common, place, "--nthreads", threads, "--local-directory", folder)
                      for threads in (1, 2)]
        address = json.loads(place.read_text())["address"]
        wait_for(lambda: ready(address), 30)
        yield address
    finally:
        for process in reversed(processes):  # a nanny ends its worker
            process.terminate()
            process.wait(20)


def ready(address):
    try:
        return Workers(scheduler=address).count() == 2
    except UserError:
        return False


@pytest.fixture(params=["jobs", "scheduler"])
def workers(request):
    return Workers(2) if request.param == "jobs" else Workers(scheduler=request.getfixturevalue("scheduler"))


def test_everywhere_the_same(workers):
    seen = {}
    found = run_tasks(task_functions.power, 3, NUMBERS, workers, on_result=seen.__setitem__)
    assert found == run_tasks(task_functions.power, 3, NUMBERS) == seen and list(found) == list(NUMBERS)
    assert workers.count() == 2 and run_tasks(task_functions.power, 3, {}, workers) == {}


def test_large_common_part(workers):
    text = os.urandom(20_000_000)
    assert run_tasks(task_functions.count_bytes, text, {0: 1, 1: 2}, workers) == {0: len(text) + 1, 1: len(text) + 2}


def test_one_task_at_a_time_in_a_process_with_one_thread(workers):
    found = run_tasks(task_functions.whereabouts, None, dict.fromkeys(range(12)), workers).values()
    assert {(threads, beside) for _, threads, beside in found} == {("1", 1)}
    assert len({process for process, *_ in found}) == 2 and os.getpid() not in {process for process, *_ in found}


def test_a_lost_worker_loses_nothing(workers, tmp_path):
    def kill():
        victim = wait_for(lambda: (tmp_path / "victim").exists() and (tmp_path / "victim").read_text(), 30)
        os.kill(int(victim), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    found = run_tasks(task_functions.killed_once, str(tmp_path), NUMBERS, workers)
    thread.join()
    assert found == {f"number {number}": number ** 2 for number in range(6)}
    wait_for(lambda: workers.scheduler is None or ready(workers.scheduler), 30)


def test_a_task_that_always_loses_its_worker():
    with pytest.raises(UserError, match="lost again and again with the same task, perhaps for want of memory"):
        run_tasks(task_functions.killed_always, None, {0: 0}, Workers(2))


def test_a_worker_that_is_being_started_is_killed_once_it_runs(monkeypatch):
    """Else dask could not close it: "can only join a started process"."""
    from distributed import Status

    class Nanny:
        process = SimpleNamespace(status=Status.starting)
        asked, graceful = 0, False

        @property
        def pid(self):
            self.asked += 1
            return 4711 if self.asked > 3 else None

        def close_gracefully(self):
            self.graceful = True

    nanny, killed = Nanny(), []
    monkeypatch.setattr(tasks.os, "kill", lambda *arguments: killed.append(arguments))
    tasks._end(nanny)
    assert killed == [(4711, signal.SIGKILL)] and nanny.graceful


def test_errors_come_back(workers):
    with pytest.raises(UserError, match="^rows must be at least 1$"):
        run_tasks(task_functions.fails, None, {0: "user"}, workers)
    with pytest.raises(ToolFailure) as failure:
        run_tasks(task_functions.fails, None, {0: "tool"}, workers)
    assert failure.value.summary == "yosys ended with status 1" and failure.value.log.name == "top.log"
    assert "its last line" in str(failure.value)


def test_an_error_ends_what_still_runs():
    def stop(key, result):
        raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(task_functions.waits, None, {0: 0, 1: 60}, Workers(2), on_result=stop)
    assert time.monotonic() - begin < 30


def test_workers_must_have_the_same_sources(scheduler, monkeypatch):
    monkeypatch.setattr(tasks, "_sources", lambda: "others")
    with pytest.raises(UserError, match="a worker has vitric .* from other sources than this process"):
        run_tasks(task_functions.power, 2, NUMBERS, Workers(scheduler=scheduler))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1", "", "foo://x:1", "tcp://x:y", "\n"])
def test_not_an_address(address, monkeypatch):
    monkeypatch.setattr(tasks, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(UserError, match="--scheduler must be the address of a scheduler of dask that runs, such as"):
        run_tasks(task_functions.power, 2, NUMBERS, Workers(scheduler=address))


def test_jobs_and_scheduler_exclude_each_other():
    with pytest.raises(UserError, match="--jobs and --scheduler exclude each other"):
        Workers(2, "tcp://127.0.0.1:8786")


def test_study_writes_the_same_files_on_a_scheduler(scheduler, tmp_path, monkeypatch):
    contents = []
    for name, options in (("here", []), ("there", ["--scheduler", scheduler]), ("jobs", ["--jobs", "2"])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        done = CliRunner().invoke(app, ["study", "roofline", "--config", "tiny", *options])
        assert done.exit_code == 0, done.output
        contents.append({path.relative_to(tmp_path / name): path.read_bytes()
                         for path in (tmp_path / name).rglob("*") if path.is_file()})
    assert contents[0] == contents[1] == contents[2] and len(contents[0]) > 20


def test_one_process_needs_no_dask():
    code = ("import sys\nfrom vitric.flow.tasks import run_tasks\nfrom tests.flow.task_functions import power\n"
            "print(run_tasks(power, 2, {1: 3}), 'dask' in sys.modules, 'distributed' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "{1: 9} False False\n"
