"""A retriever for LangChain; needs the extra ``langchain``.

What belongs here: results as documents of LangChain. What does not: search (`retrieval`).

::

    from tvdb_assets.integrations.langchain import TvdbRetriever

    retriever = TvdbRetriever(k=5)
    documents = retriever.invoke("Is flood damage covered?")
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, PrivateAttr

from tvdb_assets.integrations.hit_metadata import hit_metadata, missing_extra
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.index import MAX_RESULTS, Index
from tvdb_assets.retrieval.results import SearchResult

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ModuleNotFoundError as error:
    raise missing_extra(error, "langchain_core", "langchain") from None


class TvdbRetriever(BaseRetriever):
    """Finds passages in the current index, sync and async; follows ``tvdb switch``.

    The metadata of each document has the fields of `Hit`, e.g. ``document``, ``page``, ``heading``,
    ``score`` and ``stable_id``, and ``is_confident`` of the answer. Errors are those of
    `tvdb_assets.search`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    k: int = Field(10, ge=1, le=MAX_RESULTS)
    """Maximum number of documents."""
    filters: Filters | None = None
    """The documents to search; None searches all."""
    min_score: float | None = Field(None, ge=0, le=1)
    """Omit results with a lower score."""
    index: Index | None = Field(None, exclude=True)
    """The index to search; None opens the one of the settings at the first question."""

    _opened: Index | None = PrivateAttr(None)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return _documents(
            self._index().search(query, self.k, self.filters, min_score=self.min_score)
        )

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return _documents(
            await self._index().asearch(query, self.k, self.filters, min_score=self.min_score)
        )

    def close(self) -> None:
        """Close the index if it was opened here."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def __enter__(self) -> TvdbRetriever:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _index(self) -> Index:
        if self.index is not None:
            return self.index
        self._opened = self._opened or Index()
        return self._opened


def _documents(result: SearchResult) -> list[Document]:
    found: list[Document] = []
    for hit in result:
        metadata: dict[str, Any] = hit_metadata(hit, result)
        text = hit.repeated_header + hit.text
        found.append(Document(page_content=text, metadata=metadata, id=hit.stable_id or None))
    return found
