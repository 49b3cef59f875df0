"""The simulated APIs as the tests reach them: over a socket, and inside the client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from openai import AsyncOpenAI

from tvdb_assets_tests.paid_apis import Behaviour, PaidApis, PaidApisTransport, running_server

MODEL = "text-embedding-3-small"


@dataclass(frozen=True)
class SimulatedServer:
    """Makes clients of one `PaidApis`; each is used within one event loop."""

    apis: PaidApis
    base_url: str
    make_transport: Callable[[], httpx2.AsyncBaseTransport]

    def http(self, timeout: float = 30.0) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self.base_url, transport=self.make_transport(), timeout=timeout
        )

    def openai(self, key: str = "sk-test", timeout: float = 30.0) -> AsyncOpenAI:
        http = self.http(timeout)
        return AsyncOpenAI(
            api_key=key, base_url=f"{self.base_url}/v1", http_client=http, max_retries=0,
            timeout=timeout,
        )  # fmt: skip

    async def embed(
        self, texts: Any, *, key: str = "sk-test", timeout: float = 30.0, **more: Any
    ) -> Any:
        async with self.openai(key, timeout) as client:
            given = {"model": MODEL, "encoding_format": "base64", **more}
            return await client.embeddings.create(input=texts, **given)


@contextmanager
def simulated_server(
    kind: str, behaviour: Behaviour | None = None, clock: Callable[[], float] = time.time
) -> Iterator[SimulatedServer]:
    if kind == "socket":
        with running_server(behaviour, clock=clock) as server:
            yield SimulatedServer(
                server.apis, server.url, lambda: httpx2.AsyncHTTPTransport(verify=False)
            )
    else:
        apis = PaidApis(behaviour)
        yield SimulatedServer(apis, "http://paid.test", lambda: PaidApisTransport(apis, clock))
