"""The walk of documents through their stages, free of any orchestrator.

What belongs here: which document needs which stage, in batches that are each stored whole,
so that a crash loses at most one batch of free work and nothing that was paid for. What does
not: how a stage works (`services`, `pipeline`), SQL (`storage`), Dagster (`assets`).

A document's failure is a value here (`StageResult.error`), never an exception: its neighbours in
the batch go on. What does raise is what no document can help, such as a lost database.

`walk` takes a batch from stage to stage, `preparing` makes text and chunks of bytes, and
`indexing` makes vectors of chunks and publishes them.
"""

from tvdb_assets.ingestion.document_state import Metadata, StageResult
from tvdb_assets.ingestion.runner import IngestionRun

__all__ = ["IngestionRun", "Metadata", "StageResult"]
