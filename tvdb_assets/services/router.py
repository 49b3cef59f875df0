"""`ServiceRouter`: which client stands behind parsing and embedding, by mode.

What belongs here: turning a mode into a client, once, and refusing modes that don't exist.
What does not: the clients, health, errors, money.
"""

from __future__ import annotations

from functools import cached_property

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.embedders.local import LocalEmbedder
from tvdb_assets.services.embedders.mock import MockEmbedder
from tvdb_assets.services.embedders.protocol import Embedder
from tvdb_assets.services.parsing import parser_fingerprint
from tvdb_assets.services.workers import WorkerPool
from tvdb_assets.settings import ServiceMode, Settings


class ServiceRouter:
    """The services behind one run, chosen by mode; a plain class that works without Dagster.

    Both parsing modes parse on this machine: a parse is free and the same every time. They
    differ in what is recorded: what was asked for as a mock stays out of search.
    """

    def __init__(self, settings: Settings) -> None:
        """Choose the clients; none is loaded or started yet.

        Raises:
            ConfigurationError: a mode that this version has no client for.
        """
        self._settings = settings
        self.parser_mode = _supported("parser", settings.resolved_parser_mode)
        self.embedder_mode = _supported("embedder", settings.resolved_embedder_mode)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder of this run's mode; its weights are loaded when first used."""
        return MockEmbedder() if self.embedder_mode is ServiceMode.MOCK else LocalEmbedder()

    @cached_property
    def workers(self) -> WorkerPool:
        """The processes that parse and chunk, started when first used."""
        s = self._settings
        return WorkerPool(
            workers=s.parse_workers,
            timeout_seconds=s.parse_timeout_seconds,
            memory_mib=s.parse_memory_mib,
            tasks_per_worker=s.parse_worker_documents,
        )

    def recipe(self, chunker: Chunker) -> str:
        """All that a document's outcome depends on besides its bytes, in one string."""
        space = self.embedder.space.label
        return f"{self.parser_mode}/{parser_fingerprint()} {chunker.fingerprint} {space}"

    def parser_fingerprint(self, data: bytes, path: str) -> str:
        """What a stored parse must carry to be used again for these bytes under this name."""
        return f"{self.parser_mode}/{parser_fingerprint()}"

    def close(self) -> None:
        """End the worker processes, if any were started."""
        if "workers" in self.__dict__:
            self.workers.close()

    def __enter__(self) -> ServiceRouter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _supported(service: str, mode: ServiceMode) -> ServiceMode:
    if mode in (ServiceMode.LOCAL, ServiceMode.MOCK):
        return mode
    raise ConfigurationError(
        "mode_unsupported",
        f"The {service} mode is {mode.value}, and this version has no paid clients.",
        remedy="Set TVDB_SERVICE_MODE to local or mock.",
    )
