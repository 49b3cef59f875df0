"""What the fork server imports and warms once, so that each process starts in milliseconds.

What belongs here: imports. What does not: connections, threads, anything that a fork breaks.
"""

from __future__ import annotations

import openai

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.ingestion import IngestionRun
from tvdb_assets.parsing.parse_tasks import prepare_document
from tvdb_assets.spend_guard.prices import embedding_price

__all__ = ["IngestionRun", "openai", "prepare_document"]

count_tokens("warm")
embedding_price("text-embedding-3-small")
