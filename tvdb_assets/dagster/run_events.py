"""Converts the results of an ingestion to Dagster events.

What belongs here: materializations, asset checks, and the failure of a run. What does not: how
documents are processed (`tvdb_assets.ingestion`).

Dagster treats a run of many partitions as all or nothing: the outputs of a step materialize every
partition of the run or none. So in such a run the materialization of each document is a separate
event, stored with its batch, and the step ends with an error if any document failed. Dagster then
shows as failed exactly those partitions that were planned and not materialized.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg

from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster import compat
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion import StageResult
from tvdb_assets.models import Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.telemetry import (
    DOCUMENT_FAILED,
    DOCUMENT_WAITS,
    DOCUMENTS_DONE,
    DOCUMENTS_WAIT,
    LogEvent,
    log_event,
)

SHOWN_FAILURES = 20
"""Failures that the error of a run lists; the rest are counted, and `tvdb status` has all."""
PARSE_CHECK = "parse_validation"
FALLBACK_CHECK = "made_by_real_services"


class RunReport:
    """Collects the results of one run, and reports them to Dagster."""

    def __init__(self, context: dg.AssetExecutionContext, names: DefinitionNames) -> None:
        """Report to the step of ``context``, whose assets have these names."""
        self._context = context
        self._keys = {stage: names.stage(stage) for stage in Stage}
        self._is_single = context.has_partition_key
        self._failed: dict[str, StageResult] = {}
        self._deferred: dict[str, StageResult] = {}
        self._single: list[StageResult] = []
        self._parses: Counter[str] = Counter()
        self._documents: set[str] = set()
        self._degraded: set[str] = set()
        self._doubtful: set[str] = set()
        self._logged_members: set[str] = set()

    def add(self, results: Sequence[StageResult]) -> None:
        """Count a batch's results; in a run of many partitions, store its materializations."""
        for result in results:
            # The result of a partition is the result of its file.
            if result.is_member and result.error is not None:
                self._log_member(result, result.error)
        results = [result for result in results if not result.is_member]
        if not results:
            return
        done = [result for result in results if result.error is None]
        for result in results:
            self._documents.add(result.partition_key)
            if result.stage is Stage.PARSED_DOCUMENTS:
                self._parses["failed" if result.error else "passed"] += 1
                if result.metadata.get("warnings"):
                    self._doubtful.add(result.partition_key)
            if result.stage is Stage.EMBEDDINGS and result.metadata.get("is_degraded"):
                self._degraded.add(result.partition_key)
            if result.error is not None:
                self._record_error(result, result.error)
        if self._is_single:
            self._single.extend(done)
        else:
            self._store([self._materialization(result) for result in done])
            succeeded = len({r.partition_key for r in results}) - len(
                {r.partition_key for r in results if r.error is not None}
            )
            count = len(self._documents)
            message = f"{counted(count, 'document')} done, {succeeded:,} in this batch."
            self._log_event(DOCUMENTS_DONE, message, {"documents": count, "succeeded": succeeded})

    def _log_member(self, result: StageResult, error: TvdbError) -> None:
        if result.path not in self._logged_members:
            self._logged_members.add(result.path)
            event = DOCUMENT_WAITS if error.is_deferred else DOCUMENT_FAILED
            self._log_event(event, str(error), _about(result, error))

    def _record_error(self, result: StageResult, error: TvdbError) -> None:
        """Log each failed or deferred document once."""
        if error.is_deferred:
            if result.partition_key not in self._deferred:
                self._deferred[result.partition_key] = result
                self._log_event(DOCUMENT_WAITS, str(error), _about(result, error))
        elif result.partition_key not in self._failed:
            self._failed[result.partition_key] = result
            self._log_event(DOCUMENT_FAILED, str(error), _about(result, error))

    def _log_event(self, event: LogEvent, message: str, fields: dict[str, str | int]) -> None:
        log_event(event, message, fields, run_id=self._context.run.run_id, log=self._context.log)

    def finish(self) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Yield the results of the step, then raise an error if any document failed.

        Raises:
            dagster.Failure: names each failed document with its cause and remedy.
        """
        self._report_deferred()
        for result in self._single:
            yield dg.MaterializeResult(
                asset_key=self._keys[result.stage], metadata=_metadata(result)
            )
        checks = self._context.selected_asset_check_keys
        if dg.AssetCheckKey(self._keys[Stage.EMBEDDINGS], FALLBACK_CHECK) in checks:
            yield dg.AssetCheckResult(
                asset_key=self._keys[Stage.EMBEDDINGS],
                check_name=FALLBACK_CHECK,
                passed=not self._degraded,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"degraded": len(self._degraded)},
                description=f"{len(self._degraded)} of {len(self._documents)} documents were "
                "embedded by a fallback.",
            )
        if dg.AssetCheckKey(self._keys[Stage.PARSED_DOCUMENTS], PARSE_CHECK) in checks:
            yield dg.AssetCheckResult(
                asset_key=self._keys[Stage.PARSED_DOCUMENTS],
                check_name=PARSE_CHECK,
                passed=not (self._parses["failed"] or self._doubtful),
                severity=dg.AssetCheckSeverity.ERROR
                if self._parses["failed"]
                else dg.AssetCheckSeverity.WARN,
                metadata={
                    "passed": self._parses["passed"],
                    "failed": self._parses["failed"],
                    "with_warnings": len(self._doubtful),
                },
                description=f"{self._parses['failed']} of {self._parses.total()} documents have "
                f"no usable text, {len(self._doubtful)} have a warning in their notes.",
            )
        if self._failed:
            raise self._failure()
        if self._deferred:
            # Nothing is wrong, so the run succeeds; documents that wait are not materialized.
            count, waiting = len(self._documents), len(self._deferred)
            self._log_event(
                DOCUMENTS_WAIT,
                f"{waiting} of {count} documents wait and resume automatically; all paid results "
                "are stored.",
                {"documents": count, "deferred": waiting},
            )
            return
        if not self._is_single and compat.feeds_other_steps(self._context):
            # Later steps do not run if this one yields no output. So each partition is materialized
            # twice, by the same run and with the same result.
            for key in sorted(self._context.selected_asset_keys):
                yield dg.MaterializeResult(asset_key=key)

    def _report_deferred(self) -> None:
        """Store observations of deferred partitions, which show the reason in the UI."""
        self._store(
            [
                dg.AssetObservation(
                    asset_key=self._keys[result.stage],
                    partition=result.partition_key,
                    description=f"Waits: {result.error.message}",
                    metadata={
                        "document": display_path(result.path),
                        "deferred": result.error.code,
                        "why": result.error.message,
                        "resumes": result.error.remedy,
                    },
                )
                for result in self._deferred.values()
                if result.error is not None
            ]
        )

    def _failure(self) -> dg.Failure:
        failures = sorted(self._failed.values(), key=lambda result: result.path)
        lines = [f"- {result.error}" for result in failures[:SHOWN_FAILURES]]
        if len(failures) > SHOWN_FAILURES:
            lines.append(f"- and {len(failures) - SHOWN_FAILURES} more: see tvdb status.")
        return dg.Failure(
            f"{len(failures)} of {len(self._documents)} documents failed; "
            + ("all others are done.\n" if not self._deferred else "others are done or deferred.\n")
            + "\n".join(lines),
            metadata={
                "failed_documents": len(failures),
                "codes": dict(Counter(r.error.code for r in failures if r.error is not None)),
            },
            # Each failure is recorded, and would only occur again in a retry of the step.
            allow_retries=False,
        )

    def _materialization(self, result: StageResult) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            asset_key=self._keys[result.stage],
            partition=result.partition_key,
            metadata=_metadata(result),
        )

    def _store(
        self, events: Sequence[dg.AssetMaterialization] | Sequence[dg.AssetObservation]
    ) -> None:
        """Store asset events now, in one statement, so that a crash loses no finished document."""
        if not events:
            return
        now = time.time()
        entries = [compat.asset_event_entry(self._context, event, now) for event in events]
        self._context.instance.event_log_storage.store_event_batch(entries)


def _about(result: StageResult, error: TvdbError) -> dict[str, str | int]:
    return {"document": display_path(result.path), "code": error.code, "stage": result.stage.value}


def _metadata(result: StageResult) -> dict[str, int | float | str | bool]:
    return {
        "document": display_path(result.path),
        "unchanged": result.is_unchanged,
        **result.metadata,
    }
