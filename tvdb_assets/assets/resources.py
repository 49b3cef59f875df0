"""The resources that assets are given: services by mode, and the database behind them.

What belongs here: opening for one run what the run needs, and closing it. What does not:
what is done with it (`documents`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import dagster as dg
from pydantic import Field

from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.health import ServiceHealth
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.settings import ServiceMode, Settings, load_settings
from tvdb_assets.storage.database import Database
from tvdb_assets.storage.documents import DocumentStore
from tvdb_assets.storage.index import IndexStore
from tvdb_assets.storage.source import Source
from tvdb_assets.walk import Walk


class ServiceRouterResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Which client stands behind each service; what is not set here comes from the settings.

    Set it for one run in the launchpad, or for all by ``TVDB_SERVICE_MODE``,
    ``TVDB_PARSER_MODE`` and ``TVDB_EMBEDDER_MODE``.
    """

    mode: ServiceMode | None = Field(None, description="Of all services.")
    parser_mode: ServiceMode | None = Field(None, description="Of parsing alone.")
    embedder_mode: ServiceMode | None = Field(None, description="Of embedding alone.")

    def settings(self) -> Settings:
        """The environment's settings, with what this resource overrides."""
        asked = {
            "service_mode": self.mode,
            "parser_mode": self.parser_mode,
            "embedder_mode": self.embedder_mode,
        }
        return load_settings(**{name: mode for name, mode in asked.items() if mode is not None})

    @contextmanager
    def walk(self, run_id: str) -> Iterator[Walk]:
        """Everything that a run needs to walk documents, closed at the end of the block.

        Raises:
            ConfigurationError: a setting is bad, or the source is not there.
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with (
            Database.open(settings) as database,
            ServiceRouter(settings, database=database, run_id=run_id) as router,
        ):
            if router.pays:
                # What a process that died left open is settled, at the most it can have cost.
                router.ledger.reconcile()
            chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
            recipe = router.recipe(chunker)
            yield Walk(
                store=DocumentStore(database, run_id, recipe),
                index=IndexStore(database, run_id, recipe),
                sources=lru_cache(Source.open),
                router=router,
                chunker=chunker,
                max_document_bytes=settings.max_document_mib << 20,
            )

    async def health(self, run_id: str) -> list[ServiceHealth]:
        """How each service is.

        Raises:
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with Database.open(settings) as database:
            async with ServiceRouter(settings, database=database, run_id=run_id) as router:
                return await router.health()
