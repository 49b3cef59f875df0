"""Spans of the documents and stages of a run, for its trace.

What belongs here: start and end times. What does not: creating spans (`tracing`), or spans of
requests (`spend_guard.guard`).

Parsing and chunking are one task of a worker, and a batch goes through the stages together. So a
document's span is its time in the stage, and ``tvdb.seconds`` is the processing time of the
document.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvdb_assets.ingestion.document_state import StageResult
from tvdb_assets.models import Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.tracing import Trace


class IngestionSpans:
    """Reports the stages of one ingestion run to its trace."""

    def __init__(self, trace: Trace) -> None:
        """Nothing is reported yet."""
        self._trace = trace
        self._stages: dict[Stage, tuple[int, int, int]] = {}

    def batch(self, results: Sequence[StageResult], began: int, prepared: int, ended: int) -> None:
        """Report a finished batch; all times are nanoseconds since the epoch.

        Args:
            results: the result of each stage of each document, in the order of stages.
            began: when the batch began.
            prepared: when texts and chunks were stored.
            ended: when the documents were published.
        """
        if not self._trace.is_on:
            return
        failed: set[str] = set()
        for result in results:
            if result.path in failed:
                continue
            # A document that failed in a stage has no span in later stages.
            if result.error is not None:
                failed.add(result.path)
            own = int(float(result.metadata.get("seconds", 0)) * 1e9)
            begin, end = {
                Stage.PARSED_DOCUMENTS: (began, prepared),
                Stage.CHUNKS: (max(began, prepared - own), prepared),
                Stage.EMBEDDINGS: (prepared, ended),
            }[result.stage]
            first, last, count = self._stages.get(result.stage, (begin, end, 0))
            self._stages[result.stage] = (min(first, begin), max(last, end), count + 1)
            self._trace.document(
                result.stage.value,
                display_path(result.path),
                (begin, end),
                result.error.code if result.error is not None else None,
                {f"tvdb.{name}": value for name, value in result.metadata.items()},
            )

    def finish(self) -> None:
        """Report the stages at the end of the run."""
        for stage, (began, ended, count) in self._stages.items():
            self._trace.stage(stage.value, began, ended, count)
