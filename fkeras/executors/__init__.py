"""Measuring on other processes and machines: any `concurrent.futures.Executor`, or a dask cluster."""

from fkeras.executors.job import Job
from fkeras.executors.opened import opened_executor, parse_executor
from fkeras.executors.remote import RemoteRun
from fkeras.executors.workers import WorkerFailed, Workers, WorkersLost, workers_of

__all__ = [
    "Job",
    "RemoteRun",
    "WorkerFailed",
    "Workers",
    "WorkersLost",
    "opened_executor",
    "parse_executor",
    "workers_of",
]
