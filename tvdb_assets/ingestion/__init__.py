"""The ingestion run, independent of an orchestrator: parse, chunk, embed and publish.

What belongs here: which document needs which stage, and the batches. Each batch is stored
atomically, so that a crash loses at most some batches of free work and nothing that was paid for.
What does not: parsing (`parsing`), embedding (`embedding`), SQL (`repositories`), or Dagster
(`dagster`).

The failure of a document is a value (`StageResult.error`) and never an exception, so that the other
documents of the batch continue. Errors that no document causes, such as a lost database, are
raised.

`runner` takes batches through the stages. `parse_stage` creates texts and chunks from bytes.
`embed_stage` creates vectors of chunks and publishes them.
"""

from tvdb_assets.ingestion.document_state import Metadata, StageResult
from tvdb_assets.ingestion.runner import IngestionRun

__all__ = ["IngestionRun", "Metadata", "StageResult"]
