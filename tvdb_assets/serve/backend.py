"""The index and the connections that a service uses for all of its requests.

What belongs here: opening and closing them once. What does not: requests (`api`, `mcp_server`).

Statements of a search run in read-only transactions of a separate pool. Only the ledger, which
records what a question's vector costs, has connections that may write.
"""

from __future__ import annotations

import asyncio

from tvdb_assets.repositories.database import Database
from tvdb_assets.retrieval.index import Index
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings
from tvdb_assets.sources.source import source_root


class SearchBackend:
    """The index of the settings, for a service."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Connections are opened at the first request.

        Args:
            settings: modes, keys and limits.
            database: for the ledger; the caller closes it.
        """
        self.settings = settings
        self.current_source = source_root(settings.source)
        self.reader = Database(database.url, is_read_only=True)
        self._router = ServiceRouter(settings, database=database)
        self.index = Index(settings, database=self.reader, router=self._router)

    def check(self) -> None:
        """Check that the database answers.

        Raises:
            psycopg.Error: it does not.
        """
        with self.reader.transaction() as tx:
            tx.execute("SELECT 1")

    async def aclose(self) -> None:
        """Close the index and the connections."""
        await self.index.aclose()
        await asyncio.to_thread(self._router.close)
        await asyncio.to_thread(self.reader.close)
