"""Documents become parsed text, chunks and embeddings in Postgres, as Dagster assets.

The names below are the public interface; all other modules may change without notice. Each is
loaded when it is first used: importing this package reads no setting, opens nothing, and loads
neither Dagster nor a client of a service.

- `search`, `Index`, `Filters`, `SearchResult`, `Hit`, `Box`: search the index.
- `StoredDocument`, `SourceSummary`: what `Index.document` and `Index.sources` return.
- `defs`, `documents_partitions`: the assets, for use in another Dagster project.
- `DocumentsComponent`: the same as a component of Dagster, for use in YAML.
- `ServiceRouter`: parses and embeds by mode; paid calls pass the spend guard.
- `Database`: connections to the checked and migrated database.
- `Settings`, `ServiceMode`, `load_settings`: the configuration.
- `TvdbError`: the base of all errors that this package raises deliberately; its subclasses are
  in `tvdb_assets.errors`.
- `TvdbDeprecationWarning`: the warning about the use of a renamed name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tvdb_assets.deprecation import TvdbDeprecationWarning, serve_moved_modules

if TYPE_CHECKING:
    from tvdb_assets.dagster.component import DocumentsComponent
    from tvdb_assets.dagster.definitions import defs
    from tvdb_assets.dagster.document_assets import documents as documents_partitions
    from tvdb_assets.errors import TvdbError
    from tvdb_assets.repositories.database import Database
    from tvdb_assets.retrieval.filters import Filters
    from tvdb_assets.retrieval.index import Index, search
    from tvdb_assets.retrieval.results import Box, Hit, SearchResult
    from tvdb_assets.retrieval.stored_document import SourceSummary, StoredDocument
    from tvdb_assets.routing.service_router import ServiceRouter
    from tvdb_assets.settings import ServiceMode, Settings, load_settings

__all__ = [
    "Box",
    "Database",
    "DocumentsComponent",
    "Filters",
    "Hit",
    "Index",
    "SearchResult",
    "ServiceMode",
    "ServiceRouter",
    "Settings",
    "SourceSummary",
    "StoredDocument",
    "TvdbDeprecationWarning",
    "TvdbError",
    "defs",
    "documents_partitions",
    "load_settings",
    "search",
]

_WHERE = {
    "Box": ("tvdb_assets.retrieval.results", "Box"),
    "Database": ("tvdb_assets.repositories.database", "Database"),
    "DocumentsComponent": ("tvdb_assets.dagster.component", "DocumentsComponent"),
    "Filters": ("tvdb_assets.retrieval.filters", "Filters"),
    "Hit": ("tvdb_assets.retrieval.results", "Hit"),
    "Index": ("tvdb_assets.retrieval.index", "Index"),
    "SearchResult": ("tvdb_assets.retrieval.results", "SearchResult"),
    "ServiceMode": ("tvdb_assets.settings", "ServiceMode"),
    "ServiceRouter": ("tvdb_assets.routing.service_router", "ServiceRouter"),
    "Settings": ("tvdb_assets.settings", "Settings"),
    "SourceSummary": ("tvdb_assets.retrieval.stored_document", "SourceSummary"),
    "StoredDocument": ("tvdb_assets.retrieval.stored_document", "StoredDocument"),
    "TvdbError": ("tvdb_assets.errors", "TvdbError"),
    "defs": ("tvdb_assets.dagster.definitions", "defs"),
    "documents_partitions": ("tvdb_assets.dagster.document_assets", "documents"),
    "load_settings": ("tvdb_assets.settings", "load_settings"),
    "search": ("tvdb_assets.retrieval.index", "search"),
}
"""Module and name of each public name that is loaded when it is first used."""

serve_moved_modules()


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
