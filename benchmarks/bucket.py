"""Reading many small objects of a bucket, compared with a bare asynchronous loop.

Prints a table; asserts nothing, as machines are noisy. The server is a separate process, and
answers each request after 50 ms. *Bare* is the shortest program that reads the objects with
obstore: a semaphore and ``get_async``, no checks, no limits, nothing kept. *Batches* is what a run
does: it reads the documents of one batch after the other, here without any overlap of batches.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from threading import Event

import psutil
from obstore.store import S3Store, from_url
from rich.console import Console
from rich.table import Table

from tvdb_assets.errors import SourceError
from tvdb_assets.ingestion.runner import BATCH_DOCUMENTS
from tvdb_assets.sources.bucket import READS_IN_FLIGHT
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.sources.object_server import ObjectServer

_URL = "s3://bucket"
_MAX_BYTES = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Read many small objects of a bucket.")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    options = parser.parse_args()
    paths = [f"folder/{n:06}.md" for n in range(options.objects)]
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, options.latency_ms / 1_000), daemon=True
    )
    server.start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ours.recv(),
        "AWS_ALLOW_HTTP": "true",
    }
    table = Table(
        "reader", "at once", "objects", "seconds", "objects/s", "CPU ms/object", "ours : bare"
    )
    ideal = len(paths) * options.latency_ms / 1_000 / READS_IN_FLIGHT
    table.add_row("latency alone", str(READS_IN_FLIGHT), f"{len(paths):,}", f"{ideal:.1f}")
    readers: dict[str, Callable[[list[str]], None]] = {
        "bare": lambda names: asyncio.run(bare(from_url(_URL), names)),
        "fetch_all": fetch_all,
        "fetch_all, batches": fetch_batches,
        # Once more, to show how much the machine varies.
        "bare, again": lambda names: asyncio.run(bare(from_url(_URL), names)),
    }
    first = 0.0
    for name, read in readers.items():
        seconds, cpu = timed(read, paths)
        first = first or seconds
        table.add_row(
            name,
            str(READS_IN_FLIGHT),
            f"{len(paths):,}",
            f"{seconds:.1f}",
            f"{len(paths) / seconds:,.0f}",
            f"{1_000 * cpu / len(paths):.2f}",
            f"{seconds / first:.2f}",
        )
    server.terminate()
    Console().print(table)


def serve(pipe: Connection, delay_seconds: float) -> None:
    """Answer requests until the process is terminated."""
    with ObjectServer(delay_seconds=delay_seconds) as server:
        pipe.send(server.url)
        Event().wait()


def timed(read: Callable[[list[str]], None], paths: list[str]) -> tuple[float, float]:
    """Seconds, and seconds of processor time of this process."""
    me = psutil.Process()
    before, began = sum(me.cpu_times()[:2]), time.perf_counter()
    read(paths)
    return time.perf_counter() - began, sum(me.cpu_times()[:2]) - before


async def bare(store: S3Store, paths: list[str]) -> None:
    """Read all objects."""
    free = asyncio.Semaphore(READS_IN_FLIGHT)

    async def read(path: str) -> int:
        async with free:
            found = await store.get_async(path)
            return len(await found.bytes_async())

    await asyncio.gather(*map(read, paths))


def fetch_all(paths: list[str]) -> None:
    """Read all objects as a source does."""
    for found in Source.open(_URL).fetch_all(paths, max_bytes=_MAX_BYTES):
        if isinstance(found, SourceError):
            raise found


def fetch_batches(paths: list[str]) -> None:
    """Read all objects as a run does."""
    source = Source.open(_URL)
    for start in range(0, len(paths), BATCH_DOCUMENTS):
        batch = paths[start : start + BATCH_DOCUMENTS]
        for found in source.fetch_all(batch, max_bytes=_MAX_BYTES):
            if isinstance(found, SourceError):
                raise found


if __name__ == "__main__":
    main()
