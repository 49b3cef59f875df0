"""A retriever for LlamaIndex; needs the extra ``llama-index``.

What belongs here: results as nodes of LlamaIndex. What does not: search (`retrieval`).

::

    from tvdb_assets.integrations.llama_index import TvdbRetriever

    retriever = TvdbRetriever(k=5)
    nodes = retriever.retrieve("Is flood damage covered?")
"""

from __future__ import annotations

from tvdb_assets.integrations.hit_metadata import hit_metadata, missing_extra
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.index import Index
from tvdb_assets.retrieval.results import SearchResult

try:
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ModuleNotFoundError as error:
    raise missing_extra(error, "llama_index", "llama-index") from None


class TvdbRetriever(BaseRetriever):
    """Finds passages in the current index, sync and async; follows ``tvdb switch``.

    The metadata of each node has the fields of `Hit`, e.g. ``document``, ``page``, ``heading`` and
    ``stable_id``, and ``is_confident`` of the answer. Errors are those of `tvdb_assets.search`.
    """

    def __init__(
        self,
        index: Index | None = None,
        *,
        k: int = 10,
        filters: Filters | None = None,
        min_score: float | None = None,
    ) -> None:
        """Nothing is opened until the first question.

        Args:
            index: the index to search, which the caller closes; None opens the one of the settings.
            k: maximum number of nodes, 1 to 100.
            filters: the documents to search; None searches all.
            min_score: omit results with a lower score, 0 to 1.
        """
        super().__init__()
        self._index = index or Index()
        self._owns_index = index is None
        self._k = k
        self._filters = filters
        self._min_score = min_score

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(
            self._index.search(
                query_bundle.query_str, self._k, self._filters, min_score=self._min_score
            )
        )

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(
            await self._index.asearch(
                query_bundle.query_str, self._k, self._filters, min_score=self._min_score
            )
        )

    def close(self) -> None:
        """Close the index if it was opened here."""
        if self._owns_index:
            self._index.close()

    def __enter__(self) -> TvdbRetriever:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _nodes(result: SearchResult) -> list[NodeWithScore]:
    found: list[NodeWithScore] = []
    for hit in result:
        metadata = hit_metadata(hit, result)
        node = TextNode(
            id_=hit.stable_id or f"chunk-{hit.chunk_id}",
            text=hit.repeated_header + hit.text,
            metadata=metadata,
            # Ids and offsets say nothing to a model, and would change what an embedding means.
            excluded_llm_metadata_keys=[name for name in metadata if name not in _SAID],
            excluded_embed_metadata_keys=list(metadata),
        )
        found.append(NodeWithScore(node=node, score=hit.score))
    return found


_SAID = frozenset({"document", "title", "page", "heading"})
"""Metadata that a model reads together with the text, to cite it."""
