"""A scheduler of dask whose workers are threads of this process: what a test has replaced is replaced there, too."""

import logging

import pytest


@pytest.fixture(scope="module")
def scheduler():
    """Return its address; it has two workers."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", memory_limit=None,
                      dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
                      silence_logs=logging.CRITICAL) as cluster:
        yield cluster.scheduler_address
