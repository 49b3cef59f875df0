"""Codes of services, and of the limits of this installation on them.

What belongs here: codes of `ServiceError` and its subclasses. What does not: how to add one
(`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import (
    BreakerError,
    BudgetError,
    Disposition,
    EmbeddingError,
    ErrorCode,
    RateError,
    RefusedError,
    ServiceError,
    UnavailableError,
)

SERVICE_UNAVAILABLE: Final = ErrorCode(
    UnavailableError,
    "service_unavailable",
    "{service} is not available: {why}.",
    "Run it again later. Paid results are stored.",
    "A paid service does not answer.",
)
BAD_ANSWER: Final = ErrorCode(
    UnavailableError,
    "bad_answer",
    "{service} gave an answer that can't be used: {why}. Nothing of it was stored.",
    "Run it again. If it happens again, check the base URL and the server at that address.",
    "The answer of a service does not have the expected form.",
)
JOB_LIST_UNUSABLE: Final = ErrorCode(
    UnavailableError,
    "job_list_unusable",
    "The answer to an earlier submission of this document was lost, and the list of jobs of "
    "{service}, which shows whether it arrived, can't be used: {why}.",
    "Run it again later. The document is not submitted again before the list can be read, or 24 "
    "hours have passed. The possible cost of the lost submission is in the ledger.",
    "It is not known whether a document was submitted, and so paid for.",
)
OTHER_COUNT: Final = BAD_ANSWER.variant(
    EmbeddingError,
    "{service} gave an answer that can't be used: {why}. Nothing of it was stored.",
    "Run it again. If it happens again, lower TVDB_EMBEDDING_MAX_INPUTS.",
)
OTHER_SERVER: Final = BAD_ANSWER.variant(
    RefusedError,
    "The server at the address of {service} gave an answer without vectors: {why}.",
    "Check the base URL in the settings, and whether a login page or a proxy answers in the place "
    "of the server.",
)
BAD_VECTOR_SHAPE: Final = BAD_ANSWER.variant(
    ServiceError,
    "The embedder returned {shape} for {count} texts of {dimensions} dimensions.",
    "Check TVDB_EMBEDDING_MODEL and the service that serves it. Nothing was stored.",
)
KEY_REFUSED: Final = ErrorCode(
    RefusedError,
    "key_refused",
    "{service} does not accept the API key.",
    "Set a valid key for it in the environment or in .env, and run it again.",
    "The API key is wrong or was revoked.",
)
PERMISSION_REFUSED: Final = ErrorCode(
    RefusedError,
    "permission_refused",
    "{service} does not permit this operation for this API key.",
    "Check the permissions, project and region of the key in the account of {service}, then run "
    "tvdb resume.",
    "The API key has too few permissions.",
)
QUOTA_EXHAUSTED: Final = ErrorCode(
    RefusedError,
    "quota_exhausted",
    "{service} reports that the credit or spending limit of this account is used up.",
    "Add credit or raise the limit in the account of {service}, then run tvdb resume.",
    "The account at the service has no credit left.",
)
MODEL_NOT_FOUND: Final = ErrorCode(
    RefusedError,
    "model_not_found",
    "{service} does not know this model or address.",
    "Check the name of the model and the base URL in the settings.",
    "The model's name or the base URL is wrong.",
)
WORKERS_UNAVAILABLE: Final = ErrorCode(
    ServiceError,
    "workers_unavailable",
    "A parser process could not be started: {why}.",
    "Check that the machine has free memory and process slots, and try again.",
    "This machine can't start parser processes.",
)
PARSING_STOPPED: Final = ErrorCode(
    ServiceError,
    "parsing_stopped",
    "Parsing was stopped before this document was done.",
    "Start it again.",
    "The run was stopped.",
)
CANCELLED: Final = ErrorCode(
    ServiceError,
    "cancelled",
    "The paid call was cancelled before it was sent.",
    "Run it again. Nothing was paid.",
    "Recorded in the ledger for a reservation that was released because its run stopped.",
)
LOST: Final = ErrorCode(
    ServiceError,
    "lost",
    "The answer of a paid call was lost.",
    "Run it again. The possible cost of the call is in the ledger.",
    "Recorded in the ledger for a request that was sent and may have been billed, but whose "
    "answer never arrived.",
)
BUDGET_WINDOW_DIFFERS: Final = ErrorCode(
    ServiceError,
    "budget_window_differs",
    "A budget window differed from the sum of its ledger entries, and was corrected.",
    "Find out what wrote to the tables of the schema tvdb, for example a backup that was restored "
    "in part.",
    "Recorded in a log event and shown by `tvdb health`. The ledger is right, and no amount in it "
    "was changed.",
)
RECORDED_ONLY: Final = frozenset({CANCELLED.code, LOST.code, BUDGET_WINDOW_DIFFERS.code})
"""Codes that are only recorded in the ledger, in log events and in traces. No call raises them."""

PAUSED: Final = ErrorCode(
    BudgetError,
    "paused",
    "Paid calls to {services} are paused.",
    "Run tvdb resume to continue.",
    "Someone ran `tvdb pause`.",
)
BUDGET_EXHAUSTED: Final = ErrorCode(
    BudgetError,
    "budget_exhausted",
    "${amount} more would exceed today's budget of ${limit} for {whose}; ${spent} are spent or "
    "reserved.",
    "It resumes automatically after {resumes} UTC, or when the limit is raised by tvdb limits or "
    "{setting}.",
    "The budget of the day does not allow another paid call.",
)
BUDGET_WITHOUT_SETTING_EXHAUSTED: Final = BUDGET_EXHAUSTED.variant(
    BudgetError,
    "${amount} more would exceed today's budget of ${limit} for {whose}; ${spent} are spent or "
    "reserved.",
    "It resumes automatically after {resumes} UTC, or when the limit is raised by tvdb limits.",
)
HOURLY_REQUESTS_EXHAUSTED: Final = ErrorCode(
    RateError,
    "hourly_requests_exhausted",
    "{service} has received its {limit} paid requests of the last 60 minutes.",
    "It resumes automatically after {resumes} UTC, or when the limit is raised by tvdb limits or "
    "TVDB_HOURLY_RATE_LIMIT.",
    "The paid requests of the last 60 minutes are used up.",
)
HOURLY_REQUESTS_NONE: Final = HOURLY_REQUESTS_EXHAUSTED.variant(
    RateError,
    "{service} may receive no paid requests: its limit is 0 an hour.",
    "Raise the limit by tvdb limits or TVDB_HOURLY_RATE_LIMIT.",
)
RATE_LIMITED: Final = ErrorCode(
    RateError,
    "rate_limited",
    "{service} repeatedly answered that there were too many requests.",
    "It resumes automatically with the next ingest. Lower TVDB_PAID_CONCURRENCY if it happens "
    "often.",
    "The service limits the rate of requests.",
)
RATE_LIMIT_WAIT: Final = RATE_LIMITED.variant(
    RateError,
    "{service} accepts no request for another {seconds:.0f} seconds.",
    "It resumes automatically with the next ingest; nothing was sent.",
)
RATE_LIMITED_UNTIL: Final = RATE_LIMITED.variant(
    RateError,
    "{service} accepts no request before {until} UTC.",
    "It resumes automatically after that time, with the next ingest. Or raise the limit in the "
    "account of {service}.",
)
REQUEST_EXCEEDS_RATE: Final = ErrorCode(
    RateError,
    "request_exceeds_rate",
    "A request has {tokens} tokens, more than {service} accepts in a minute ({limit:g}).",
    "Lower TVDB_CHUNK_TOKENS, or ask the service for a higher rate limit.",
    "One request is larger than the tokens that the service allows in a minute.",
)
BREAKER_OPEN: Final = ErrorCode(
    BreakerError,
    "breaker_open",
    "{service} failed {failures} times in a row. No request is sent to it for another "
    "{seconds:.0f} seconds.",
    "It resumes automatically with the next ingest; nothing was sent.",
    "The circuit breaker of the service is open.",
)

BATCH_PENDING: Final = ErrorCode(
    ServiceError,
    "batch_pending",
    "Its texts are in the batch job {job} of {service} since {since} UTC.",
    "It is published automatically when the job has ended, within a day. tvdb status shows the "
    "state of the job.",
    "The document waits for a batch job, which costs half of the price.",
    Disposition.DEFERRED,
)
BATCH_ENDED: Final = ErrorCode(
    ServiceError,
    "batch_ended",
    "The batch job that it waited for has ended.",
    "The next run publishes it, and sends again what the job has left out. It is requested "
    "automatically.",
    "The vectors of the document's texts are stored, and no run has published it yet.",
    Disposition.DEFERRED,
)
BATCH_REFUSED: Final = ErrorCode(
    ServiceError,
    "batch_refused",
    "{service} refuses a request for batch jobs with status {status}.",
    "The texts are embedded without a batch job. Permit files and batches to the key, or set "
    "TVDB_BATCH=never.",
    "The service has no batch jobs, or not for this key or model. Recorded with the job.",
)
BATCH_QUEUE_FULL: Final = ErrorCode(
    RateError,
    "batch_queue_full",
    "{service} has as many tokens of this account in its queue of batch jobs as it allows.",
    "The job is submitted automatically when others are done. Lower TVDB_BATCH_TEXTS if it happens "
    "often.",
    "The account's limit of enqueued tokens is reached. Recorded with the job.",
)
BATCH_LIST_UNUSABLE: Final = ErrorCode(
    UnavailableError,
    "batch_list_unusable",
    "The answer to the submission of a batch job was lost, and the list of batch jobs of "
    "{service}, which shows whether it arrived, can't be used: {why}.",
    "It is read again automatically. The job is not submitted again before. Its possible cost is "
    "in the ledger.",
    "It is not known whether a batch job was submitted. Recorded with the job.",
)
BATCH_LOST: Final = ErrorCode(
    ServiceError,
    "batch_lost",
    "{service} no longer knows the batch job.",
    "Its possible cost is in the ledger. Its texts are sent again automatically.",
    "A batch job can't be found, or did not end within two days. Recorded with the job.",
)
