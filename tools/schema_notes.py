"""What one row of each table and view is, for the generated page of the schema.

What belongs here: one or two sentences for each table and view of the schema ``tvdb``. What does
not: columns and types, which are read from the database.
"""

from __future__ import annotations

from typing import Final

TABLES: Final = {
    "documents": "A source file, or a document inside a file (`container_id`): its path, "
    "partition key, etag, sha256, status, and the outcome of its last ingestion.",
    "parsed_documents": "The text of one version of a document, as one parser produced it, with "
    "its pages and headings.",
    "chunk_sets": "All chunks that one chunker made from one parsed text.",
    "chunks": "A chunk: offsets, pages, heading path, number of tokens, and text.",
    "word_segments": "A part of the word index: the postings of some thousands of chunks. It is "
    "never changed, but merged with others into a larger one.",
    "word_postings": "The chunks of a segment that have the terms of one bucket, and how often.",
    "word_sets": "Which positions of a segment the chunks of a set have.",
    "word_live": "Which positions of a segment an index shows.",
    "word_changes": "A publication or deletion that `word_live` does not contain yet.",
    "embeddings": "A vector. There is one for each distinct text and vector space.",
    "vector_indexes": "The HNSW index over the vectors of a space.",
    "vector_spaces": "A vector space: provider, model, dimensions and version.",
    "indexes": "An index that search can read: a vector space and a chunker. At most one is "
    "current, and search reads the current one.",
    "publications": "Which chunk set of a document an index shows.",
    "document_events": "The outcome of one ingestion of a document.",
    "cost_ledger": "One attempt of one paid call: what was reserved, what it cost, for which "
    "documents, and in which run.",
    "budget_windows": "What is committed of a day's dollars or of an hour's requests.",
    "service_states": "A paid service as all processes see it: circuit breaker, rate limits, "
    "refusal, and last error.",
    "text_claims": "A text that a process is embedding right now, or that is in a batch job.",
    "claim_leases": "A claim that is valid although its process may have lost its connection, "
    "while the process renews it.",
    "embedding_batches": "A batch job of a paid service, which embeds many texts within a day.",
    "embedding_batch_texts": "A text of a batch job that is not done.",
    "embedding_batch_returns": "A text that a batch job returned without a vector.",
    "texts_without_vector": "A text that was paid for and got no usable vector.",
    "parse_jobs": "A paid parse job that was submitted.",
    "parse_submissions": "A document that was about to be submitted to a paid parser, whether "
    "its answer arrived or not.",
    "runs": "A run that ingested documents, and the runs that it retries.",
    "service_events": "An event of a run's calls that is not in the ledger: a request without a "
    "price, a limit that stopped a call, a change of a circuit breaker.",
    "installation": "One row: the salt of the names that replace private paths.",
    "former_texts": "The hash of a text that a document once had, so that its vector is deleted "
    "with the document.",
    "forgotten_files": "A file that `tvdb forget` removed while it was in the source. The sensor "
    "ignores it until it changes.",
    "question_vectors": "The vector of a question to search that was paid for, so that it is not "
    "paid for again. It is kept for `TVDB_CACHE_DAYS`.",
    "retrieval_evaluations": "A measure of a ranking of an index over a file of questions, with "
    "its 95 % interval.",
    "source_scans": "The result of the last scan of a source: what could not be listed, and how "
    "many documents are missing and wait for `tvdb ingest --delete`.",
    "scan_progress": "A scan of a source that takes several ticks of a sensor, and is not complete "
    "yet.",
    "scan_pages": "The documents that an incomplete scan has listed, page by page.",
    "unused_texts": "The hash of a text whose documents the source no longer has. Its vector is "
    "kept for `TVDB_CACHE_DAYS`.",
    "unused_parses": "The text of a file that a paid service parsed and the source no longer has. "
    "It is kept for `TVDB_CACHE_DAYS`, so that nothing is paid again if the file returns.",
    "removed_partitions": "A partition whose document is deleted, until Dagster no longer has it.",
    "limit_changes": "A change of a limit or a pause at run time: who, when, and the runs that "
    "were active.",
    "budget_alerts": "A threshold of a day's budget, and whether it was reported and delivered.",
}
VIEWS: Final = {
    "search_index": "What search reads: the chunks of published documents with their vectors, of "
    "the current index, without degraded rows and without rows of the mode `mock`.",
    "cost_entries": "The ledger with one row for each document of a call. A call that several "
    "documents share is divided by their units.",
    "cost_by_run": "Cost by run.",
    "cost_by_document": "Cost by document.",
    "cost_by_service": "Cost by service.",
    "cost_waste": "Cost of calls whose answers could not be used.",
    "cost_retries": "Cost and number of repeated attempts.",
}
