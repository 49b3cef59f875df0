"""One discovery of a server at a time in a process, whoever asks for it.

What belongs here: the turn. What does not: what is found out (`server_traits`), or by which request
(`paid_embedding`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_POLL_SECONDS = 0.02
_TURNS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""By server: the callers may have different embedders, threads and event loops."""


@asynccontextmanager
async def turn_to_discover(server: str) -> AsyncIterator[None]:
    """Wait until no other caller of this process is discovering the server.

    Args:
        server: fingerprint of server and model; see `PaidEmbedder.server`.
    """
    turn = _TURNS[server]
    # A thread that waits could not be cancelled, and would keep the turn.
    while not turn.acquire(blocking=False):
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        turn.release()
