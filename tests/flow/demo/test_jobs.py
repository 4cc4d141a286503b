import threading

import pytest
from vitric.flow.demo.jobs import Full, Jobs


@pytest.fixture
def jobs():
    jobs = Jobs(3)
    thread = threading.Thread(target=jobs.run, daemon=True)
    thread.start()
    yield jobs
    jobs.close()
    thread.join(10)
    assert not thread.is_alive()


def wait(job):
    for _ in range(1000):
        if job.answer is not None or job.error is not None:
            return job
        threading.Event().wait(0.005)
    raise TimeoutError


def test_one_after_the_other_and_each_knows_its_place(jobs):
    gate, begun, order = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        gate.wait(10)
        order.append(1)
        return {"n": 1}

    first, second, third = jobs.add(slow), jobs.add(lambda: order.append(2) or {"n": 2}), jobs.add(lambda: {"n": 3})
    assert begun.wait(10)
    assert [jobs.place(job) for job in (first, second, third)] == [0, 1, 2] and first.running and not second.running
    with pytest.raises(Full, match="3 images wait already"):
        jobs.add(lambda: {})
    gate.set()
    assert wait(third).answer == {"n": 3} and order == [1, 2] and second.answer == {"n": 2}
    assert jobs.place(third) == 0 and jobs.find(second.number) is second
    jobs.add(lambda: {})


def test_a_failure_is_told_and_the_next_one_runs(jobs):
    def fail():
        raise ValueError("no such thing")

    def nothing_to_say():
        raise KeyError

    assert [wait(jobs.add(work)).error for work in (fail, nothing_to_say)] == ["no such thing", "KeyError"]
    assert wait(jobs.add(lambda: {"x": 1})).answer == {"x": 1}


def test_old_ones_are_forgotten(jobs):
    first = wait(jobs.add(lambda: {}))
    for _ in range(70):
        last = wait(jobs.add(lambda: {}))
    assert jobs.find(first.number) is None and jobs.find(last.number) is last and jobs.find(10_000) is None
