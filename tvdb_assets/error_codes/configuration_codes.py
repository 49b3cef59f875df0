"""Codes of wrong settings and arguments.

What belongs here: codes of `ConfigurationError`. What does not: how to add one (`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import ConfigurationError, ErrorCode

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
    "There is no API key for {service}, but the mode requires this service.",
    "Set {variable} in the environment or in .env, or set {mode} to local.",
    "A paid mode is set, but the key of its service is not set.",
)
BATCH_KEY_MISSING: Final = KEY_MISSING.variant(
    ConfigurationError,
    "The settings have no key, address or price for {service} and {model}, so this batch job can't "
    "be looked at.",
    "Set those that it was submitted with. If it is not looked at within two days, its possible "
    "cost stays in the ledger.",
)
ADDRESS_MISSING: Final = ErrorCode(
    ConfigurationError,
    "address_missing",
    "There is no address of {service}, and each account has its own.",
    "Set {variable} in the environment or in .env.",
    "The embedding provider has no common address.",
)
DIMENSIONS_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "dimensions_unknown",
    "The number of dimensions of the model {model} is not known.",
    "Set TVDB_EMBEDDING_DIMENSIONS, or correct TVDB_EMBEDDING_MODEL.",
    "The vector length of the embedding model is not known.",
)
PRICE_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "price_unknown",
    "The price of the embedding model {model} is not known, so no budget can limit it.",
    "Add the line TVDB_EMBEDDING_USD_PER_MILLION=N to .env, where N is the US dollars for a "
    "million tokens, and 0 for your own server. Or correct TVDB_EMBEDDING_MODEL.",
    "A paid service has no known price, so nothing is sent to it.",
)
TIER_PRICE_UNKNOWN: Final = PRICE_UNKNOWN.variant(
    ConfigurationError,
    "The price of the LlamaParse tier {tier} is not known, so no budget can limit it.",
    "Set TVDB_LLAMAPARSE_TIER to one of {tiers}.",
)
COST_OPTIMIZER_UNAVAILABLE: Final = BAD_SETTING.variant(
    ConfigurationError,
    "The LlamaParse tier {tier} has no cost optimizer.",
    "Set TVDB_LLAMAPARSE_COST_OPTIMIZER=false, or TVDB_LLAMAPARSE_TIER to one of {tiers}.",
)
PROVIDER_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "provider_unknown",
    "There is no paid provider {name}.",
    "Set {setting} to one of: {names}.",
    "The setting that chooses a paid provider names one that does not exist.",
)
GUARD_BYPASSED: Final = ErrorCode(
    ConfigurationError,
    "guard_bypassed",
    "{client} costs money and was called without the spend guard. Nothing was sent.",
    "Derive it from PaidEmbedder or PaidParser, declare it as a provider, and call it through "
    "ServiceRouter, so that the spend guard reserves and posts each request.",
    "Code called a client with a price, or an object that contains one, as if it were free.",
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
    "The source folder does not exist.",
)
SOURCE_STALLED: Final = ErrorCode(
    ConfigurationError,
    "source_stalled",
    "The source folder {root} gave no answer for {seconds:g} seconds.",
    "Check the mount that it is on; the server of a network file system may be gone. "
    "TVDB_SOURCE_TIMEOUT_SECONDS sets how long an answer is awaited.",
    "The source folder is on a mount that does not answer.",
)
SOURCE_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "source_unknown",
    "No document is registered from the source {name}. The sources are: {known}.",
    "Use a source that tvdb source list shows.",
    "A source on the command line has no documents.",
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
    "Check that it is mounted and that TVDB_SOURCE is right. To delete the documents, run tvdb "
    "ingest --delete.",
    "The whole source looks empty. This is more likely a missing mount than a deletion, so "
    "nothing is deleted.",
)
DELETION_UNCONFIRMED: Final = ErrorCode(
    ConfigurationError,
    "deletion_unconfirmed",
    "{gone:,} of {known:,} documents are no longer in the source {root}. Nothing was changed.",
    "Check that all of it is mounted and that TVDB_SOURCE is right. To delete the documents, run "
    "tvdb ingest --delete. TVDB_DELETION_SHARE says how many may be deleted without that.",
    "A scan would delete a large part of the documents. A person must confirm it.",
)
PATH_MISSING: Final = ErrorCode(
    ConfigurationError,
    "path_missing",
    "There is no file or folder {path}.",
    "Check the spelling. The path is relative to the current folder, not to TVDB_SOURCE.",
    "A path on the command line does not exist.",
)
DOCUMENT_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "document_unknown",
    "There is no document {name}.",
    "Use the path that tvdb search or the Dagster UI shows.",
    "A name matches no registered document.",
)
DOCUMENT_ELSEWHERE: Final = ErrorCode(
    ConfigurationError,
    "document_elsewhere",
    "There is no document {name} in the source {root}, but there is one in {others}.",
    "Set TVDB_SOURCE to the source of the document, and repeat the command.",
    "A command that changes a document acts on the current source alone.",
)
DOCUMENTS_UNKNOWN: Final = DOCUMENT_UNKNOWN.variant(
    ConfigurationError,
    "There is no document {names}. No document was requested.",
    "Use the names on the page of the partitions.",
)
DOCUMENT_AMBIGUOUS: Final = ErrorCode(
    ConfigurationError,
    "document_ambiguous",
    "Several sources have a document {name}: {sources}.",
    "Name the source as well, or use the partition key of the document.",
    "A name matches documents of several sources, and none of them is the current source.",
)
DOCUMENT_WITHOUT_TEXT: Final = ErrorCode(
    ConfigurationError,
    "document_without_text",
    "No text of {name} is stored.",
    "Run tvdb ingest. If it failed, tvdb status and the name of the document show the reason.",
    "A document is registered, and no parser has read it successfully yet.",
)
PAGE_UNKNOWN: Final = ErrorCode(
    ConfigurationError,
    "page_unknown",
    "{name} has no page {page}. It has {pages:,}.",
    "Use a page from 1 to the last one. A format without pages has one.",
    "A document has fewer pages than the number that was given.",
)
PRIVATE_PARTITION: Final = ErrorCode(
    ConfigurationError,
    "private_partition",
    "A partition was added manually under a path that is marked private.",
    "Delete the partition, and register such files with tvdb ingest, which gives them keys that "
    "reveal nothing.",
    "A manually added partition key would reveal a private path.",
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
    "A mock or a fallback computed the vectors of index {index}, so its results would be wrong.",
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
INDEX_IS_BUILT: Final = INDEX_IN_USE.variant(
    ConfigurationError,
    "A run is embedding texts for index {index}.",
    "Wait until the run has ended, or cancel it, and drop the index then.",
)
OTHER_VECTOR_SPACE: Final = ErrorCode(
    ConfigurationError,
    "other_vector_space",
    "The index contains vectors of {current}, and the vector of the query is of {space}.",
    "Search with the TVDB_EMBEDDER_MODE and key of the index, or ingest again with this "
    "embedder and run tvdb switch.",
    "The query and the index use different embedding models.",
)
DAGSTER_INCOMPATIBLE: Final = ErrorCode(
    ConfigurationError,
    "dagster_incompatible",
    "The installed {found} can't be used. It lacks: {problems}.",
    "Install versions that work: pip install 'dagster{dagster}' 'dagster-webserver{dagster}' "
    "'dagster-postgres{dagster_postgres}'.",
    "Private parts of Dagster that this package uses differ from those of the tested versions.",
)
ENV_FILE_NOT_ALLOWED: Final = ErrorCode(
    ConfigurationError,
    "folder_not_allowed",
    "The file {file} sets {names}, which would decide where {secrets} of your environment is used. "
    "Nothing was read or sent.",
    "Read the file. If it is yours or you trust it, run tvdb allow in its folder; a changed file "
    "must be allowed again. Or set the variables in the environment.",
    "A file of the working folder decides something that may take secrets from elsewhere or run "
    "programs, and the user has not allowed it.",
)
HOME_NOT_ALLOWED: Final = ENV_FILE_NOT_ALLOWED.variant(
    ConfigurationError,
    "The folder {home} has a database that no command of yours created here. It was not started.",
    "A database can run programs. If the folder is yours or you trust it, run tvdb allow; else "
    "delete it. Or name it by DAGSTER_HOME in the environment.",
)
INSTANCE_FILE_NOT_ALLOWED: Final = ENV_FILE_NOT_ALLOWED.variant(
    ConfigurationError,
    "The file {file} has settings of Dagster that may name programs or a database. Dagster was not "
    "started.",
    "Read the file. If it is yours or you trust it, run tvdb allow in its folder; a changed file "
    "must be allowed again.",
)
ENV_FILE_EXISTS: Final = ErrorCode(
    ConfigurationError,
    "env_file_exists",
    "The file {file} exists already. It was not changed.",
    "Edit it, or rename it and repeat the command.",
    "A new configuration would replace one that is there.",
)
ALLOWANCE_UNWRITABLE: Final = ErrorCode(
    ConfigurationError,
    "allowance_unwritable",
    "It can't be recorded in {folder} what you allow ({kind}).",
    "Give the user that runs this the right to write there, or set XDG_CONFIG_HOME to another "
    "folder.",
    "The user's folder for configuration can't be written.",
)
