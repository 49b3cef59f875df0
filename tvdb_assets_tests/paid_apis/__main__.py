"""The simulated APIs in a separate process, for clients that are killed and for benchmarks."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import threading
import time

from tvdb_assets_tests.paid_apis.core import Behaviour, PaidApis
from tvdb_assets_tests.paid_apis.server import serve
from tvdb_assets_tests.paid_apis.vectors import FULL_DIMENSIONS, expected_vector


async def _serve(listener: socket.socket, apis: PaidApis) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serve(listener, apis, threading.Lock(), time.time, stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tvdb_assets_tests.paid_apis")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--per-input-ms", type=float, default=0.0)
    parser.add_argument("--job-seconds", type=float, default=0.0)
    parser.add_argument("--rough-tokens", action="store_true", help="bill bytes / 4, not tokens")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    behaviour = Behaviour(
        seed=given.seed,
        latency_seconds=given.latency_ms / 1000,
        per_input_seconds=given.per_input_ms / 1000,
        job_seconds=given.job_seconds,
        exact_tokens=not given.rough_tokens,
    )
    for model in FULL_DIMENSIONS:  # the first request must not wait for the pools
        expected_vector("", model)
    gc.freeze()  # the pools live as long as the process
    listener = socket.create_server(("127.0.0.1", given.port), backlog=1024)
    asyncio.run(_serve(listener, PaidApis(behaviour)))


if __name__ == "__main__":
    main()
