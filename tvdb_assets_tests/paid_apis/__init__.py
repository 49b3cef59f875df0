"""A simulation of the two paid APIs, OpenAI's embeddings and LlamaParse v2.

It is a real server that misbehaves on demand and knows what it would have billed::

    with running_server(Behaviour(job_seconds=0.05)) as server:
        server.apis.faults.script("rate_limited_seconds", times=2, seconds=0.05)
        client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0)
        ...
        assert server.apis.dollars == ledger_total

The same state machine serves a client without a socket (`PaidApisTransport`), for simulations
on a virtual clock, and other processes (``python -m tvdb_assets_tests.paid_apis``).
"""

from __future__ import annotations

from tvdb_assets_tests.paid_apis.charges import Charge, Request
from tvdb_assets_tests.paid_apis.core import Behaviour, PaidApis
from tvdb_assets_tests.paid_apis.faults import FaultKind
from tvdb_assets_tests.paid_apis.replies import Cut, Reply
from tvdb_assets_tests.paid_apis.server import RunningServer, running_server
from tvdb_assets_tests.paid_apis.transport import PaidApisTransport
from tvdb_assets_tests.paid_apis.vectors import expected_vector, expected_vectors

__all__ = [
    "Behaviour",
    "Charge",
    "Cut",
    "FaultKind",
    "PaidApis",
    "PaidApisTransport",
    "Reply",
    "Request",
    "RunningServer",
    "expected_vector",
    "expected_vectors",
    "running_server",
]
