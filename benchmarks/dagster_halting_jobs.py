"""Jobs that pay every 0.2 seconds and note it, for `dagster_halting`."""

import os
import time
from pathlib import Path

import dagster as dg

POOL = "paid"


def _note(event: str) -> None:
    with Path(os.environ["NOTED"]).open("a") as notes:
        notes.write(f"{event}\n")


@dg.op
def free() -> None:
    """Work that costs nothing."""
    _note("free")


@dg.op(pool=POOL)
def pays() -> None:
    """Ten requests; each is answered after 0.2 seconds and then stored."""
    for _ in range(10):
        _note("sent")
        time.sleep(0.2)
        _note("stored")


@dg.job(executor_def=dg.multiprocess_executor)
def multi() -> None:
    """Both, each in a separate process."""
    free()
    pays()


@dg.job(executor_def=dg.in_process_executor)
def single() -> None:
    """Both, in the run's process."""
    free()
    pays()


@dg.asset(pool=POOL)
def paid_asset() -> None:
    """As `pays`."""
    for _ in range(10):
        _note("sent")
        time.sleep(0.2)
        _note("stored")


@dg.asset(pool=POOL, partitions_def=dg.StaticPartitionsDefinition(["a"]))
def paid_partition() -> None:
    """As `pays`, for a backfill."""
    for _ in range(10):
        _note("sent")
        time.sleep(0.2)
        _note("stored")


defs = dg.Definitions(jobs=[multi, single], assets=[paid_asset, paid_partition])
