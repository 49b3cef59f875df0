"""Embedding on this machine: the path on which nothing may cost money.

What belongs here: distinct texts to a free embedder and its vectors to a result. What does not:
anything that costs money (`paid_embedding`); such an embedder is refused here before it is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tvdb_assets.embedding.embedder_protocol import Embedder
from tvdb_assets.embedding.embedding_result import (
    EmbeddingResult,
    PersistVectors,
    ResultCollector,
    TextToEmbed,
    distinct_positions,
    is_unicode,
    unsendable,
)
from tvdb_assets.spend_guard.paid_service import ensure_free


async def embed_free(
    embedder: Embedder, texts: Sequence[TextToEmbed], persist: PersistVectors | None
) -> EmbeddingResult:
    """Embed on this machine.

    Args:
        embedder: free of charge.
        texts: any number; equal texts are embedded once.
        persist: is given the good vectors at once, without a transaction.

    Raises:
        ConfigurationError: the embedder has a price, or contains something that has one.
    """
    ensure_free(embedder)
    result = ResultCollector(texts, embedder)
    distinct = []
    for position in distinct_positions(texts):
        if is_unicode(texts[position].text):
            distinct.append(position)
        else:
            result.refuse(position, unsendable(texts[position]))
    if distinct:
        made = await embedder.embed([texts[i].text for i in distinct])
        good = result.add(distinct, made)
        if persist is not None and good:
            await asyncio.to_thread(persist, None, good, result.vectors[good], embedder.produced_by)
    return result.finished()
