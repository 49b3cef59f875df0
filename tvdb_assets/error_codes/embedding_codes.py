"""Codes of texts that give no chunks or no vector.

What belongs here: codes of `ChunkError` and `EmbeddingError`. What does not: how to add one
(`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import ChunkError, Disposition, EmbeddingError, ErrorCode, RefusedError

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
    "The stage embeddings ran before the document was chunked.",
)
TEXT_EMPTY: Final = ErrorCode(
    EmbeddingError,
    "text_empty",
    "An empty text has no vector.",
    "Pass a text that has words.",
    "The text to embed is empty.",
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
    "rules of the service forbid. All other documents are done.",
    "The embedding service does not accept the content of a chunk.",
)
REQUEST_REFUSED: Final = ErrorCode(
    EmbeddingError,
    "request_refused",
    "{service} refuses the request with status {status}, for an unknown reason.",
    "Check the content of the document for control characters, encoded data or text that the "
    "rules of the service forbid. All other documents are done.",
    "The embedding service refuses a request for an unknown reason. If it refuses several "
    "different texts, no more are sent.",
)
REQUEST_REFUSED_WITH_WORDS: Final = REQUEST_REFUSED.variant(
    EmbeddingError,
    "{service} refuses the request with status {status}: {words}.",
    "Check the content of the document for control characters, encoded data or text that the "
    "rules of the service forbid. All other documents are done.",
)
TEXT_BREAKS_SERVICE: Final = ErrorCode(
    EmbeddingError,
    "text_breaks_service",
    "{service} fails whenever a part of this document is sent ({why}), and answers for others.",
    "Check the content of the document for control characters, encoded data or very long words. "
    "Or report it to the maintainers of the server. All other documents are done.",
    "The embedding service fails at the content of a chunk, for example with status 500, while it "
    "works for other texts.",
    disposition=Disposition.TRANSIENT,
)
ALL_REQUESTS_REFUSED: Final = REQUEST_REFUSED.variant(
    RefusedError,
    "The embedding service refused {count} requests with different texts, for an unknown reason.",
    "Check TVDB_EMBEDDING_MODEL, TVDB_EMBEDDING_DIMENSIONS and OPENAI_BASE_URL.",
)
SHORT_TEXT_REFUSED: Final = REQUEST_REFUSED.variant(
    RefusedError,
    "{service} refuses even a short text, with status {status}.",
    "Check TVDB_EMBEDDING_MODEL, TVDB_EMBEDDING_DIMENSIONS and OPENAI_BASE_URL.",
)
DIMENSIONS_REFUSED: Final = ErrorCode(
    RefusedError,
    "dimensions_refused",
    "{service} makes vectors of {dimensions} numbers with this model, and can't make any of "
    "{wanted}.",
    "Remove TVDB_EMBEDDING_DIMENSIONS, or set it to {dimensions}.",
    "The embedding model does not make vectors of the length of TVDB_EMBEDDING_DIMENSIONS.",
)
_NOT_PAID_AGAIN = (
    "Check that the text of the document is readable. A paid model is not asked again for the same "
    "text; to pay for it once more, run tvdb retry --pay-again."
)
VECTOR_ZERO: Final = ErrorCode(
    EmbeddingError,
    "vector_zero",
    "The embedding model returned a zero vector for a part of this text.",
    _NOT_PAID_AGAIN,
    "A vector of zeros can't be compared with others.",
)
VECTOR_NOT_FINITE: Final = ErrorCode(
    EmbeddingError,
    "vector_not_finite",
    "The embedding model returned a vector with NaN or infinity for a part of this text.",
    _NOT_PAID_AGAIN,
    "A vector with NaN or infinity can't be stored.",
)
VECTOR_UNUSABLE: Final = ErrorCode(
    EmbeddingError,
    "vector_unusable",
    "The embedding model returned no usable vector for a part of this text: {why}.",
    _NOT_PAID_AGAIN,
    "The embedding service answered, but a vector is missing, or has another length than the "
    "vectors of all other texts.",
)
