"""The fingerprints of the local parsers are pinned, except for the versions of libraries.

A stored text is found again by the fingerprint of its parser. If a fingerprint changes by accident,
for example because a class or a module was renamed, every document of the format is parsed again,
and chunked and embedded again if its text differs. Change a line here only together with a
deliberate change of a parser's revision.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version

from lxml import etree

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.parsing.format_protocol import Format
from tvdb_assets.parsing.format_registry import all_containers, all_parsers

_LIBRARIES = (
    *("arro3-core", "arro3-io", "chardetng-py", "compressed-rtf", "docutils", "liteparse", "lxml"),
    *(
        "mammoth",
        "mwparserfromhell",
        "olefile",
        "orjson",
        "pi-heif",
        "pikepdf",
        "pillow",
        "pylatexenc",
    ),
    *("tesserocr", "textile", "tvdb-assets", "xlrd"),
)
_OCR = "ocr<tesserocr>:3:eng:300:200"
_PDF_OPTIONS = (
    "[('continue_on_page_error', True), ('emit_word_boxes', True),"
    " ('extract_annotations', True), ('extract_blocks', True),"
    " ('extract_form_fields', True), ('extract_links', False), ('extract_vector_graphics', True),"
    " ('image_mode', 'off'), ('include_complexity', True), ('keep_headers_footers', True),"
    " ('num_workers', 1), ('ocr_enabled', False), ('output_format', 'markdown'), ('quiet', True)]"
)
# The order is pinned too: the fingerprint over all formats is a digest of these lines.
_PARSERS = [
    "AsciiDocParser1:tvdb-assets<tvdb-assets>",
    "DelimitedParser3:chardetng-py<chardetng-py>",
    "DocParser1:olefile<olefile>",
    "docx2:mammoth<mammoth>:lxml<lxml>",
    "EpubParser1:lxml<lxml>",
    "html2:lxml<lxml>:<libxml>",
    f"ImageParser1:tesserocr<tesserocr>:pillow<pillow>:pi-heif<pi-heif>:{_OCR}",
    "LatexParser1:pylatexenc<pylatexenc>",
    "mail3:<python>:<chardetng-py>:lxml<lxml>",
    "MediaWikiParser1:mwparserfromhell<mwparserfromhell>",
    "MsgParser3:olefile<olefile>:compressed-rtf<compressed-rtf>:lxml<lxml>",
    "NotebookParser1:tvdb-assets<tvdb-assets>:lxml<lxml>",
    "OdfParser2:lxml<lxml>",
    "OrgParser1:tvdb-assets<tvdb-assets>",
    f"pdf5:liteparse<liteparse>:{_PDF_OPTIONS}:{_OCR}:pikepdf<pikepdf>",
    "PptParser1:olefile<olefile>",
    "PptxParser2:lxml<lxml>",
    "RecordParser1:chardetng-py<chardetng-py>:lxml<lxml>",
    "RstParser2:docutils<docutils>:lxml<lxml>",
    "RtfParser3:tvdb-assets<tvdb-assets>",
    "StructuredParser1:chardetng-py<chardetng-py>",
    "SubtitleParser1:chardetng-py<chardetng-py>",
    "text2:chardetng-py<chardetng-py>",
    "TextileParser1:textile<textile>:lxml<lxml>",
    "WinmailParser1:compressed-rtf<compressed-rtf>:lxml<lxml>:chardetng-py<chardetng-py>",
    "XlsParser3:xlrd<xlrd>",
    "XlsbParser1:tvdb-assets<tvdb-assets>:lxml<lxml>",
    "XlsxParser3:lxml<lxml>",
    "XmlParser1:lxml<lxml>",
]
_CONTAINERS = [
    "Archive1:tvdb-assets<tvdb-assets>",
    "JsonLines1:orjson<orjson>",
    "mail3:<python>:<chardetng-py>:lxml<lxml>",
    "Mailbox1:tvdb-assets<tvdb-assets>",
    "MsgParser3:olefile<olefile>:compressed-rtf<compressed-rtf>:lxml<lxml>",
    "Parquet1:arro3-io<arro3-io>:arro3-core<arro3-core>",
    "PdfAttachments1:pikepdf<pikepdf>",
    "WinmailParser1:compressed-rtf<compressed-rtf>:lxml<lxml>:chardetng-py<chardetng-py>",
]


def test_the_fingerprint_of_each_parser_is_unchanged() -> None:
    assert _pinned_part(all_parsers()) == _PARSERS


def test_the_fingerprint_of_each_container_is_unchanged() -> None:
    assert _pinned_part(all_containers()) == _CONTAINERS


def test_the_fingerprint_over_all_formats_is_a_digest_of_these() -> None:
    limits = DocumentLimits(ocr_languages="eng")
    with limits_applied(limits):
        lines = ["4", *(each.fingerprint for each in (*all_parsers(), *all_containers()))]
    digest = sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert parser_fingerprint(limits=limits) == digest


def _without_versions(fingerprint: str) -> str:
    libxml = ".".join(map(str, etree.LIBXML_VERSION))
    fingerprint = fingerprint.replace(f":{libxml}", ":<libxml>")
    fingerprint = fingerprint.replace(f":{platform.python_version()}:", ":<python>:")
    fingerprint = fingerprint.replace(f"ocr{version('tesserocr')}:", "ocr<tesserocr>:")
    for name in _LIBRARIES:
        fingerprint = fingerprint.replace(f"{name}{version(name)}", f"{name}<{name}>")
    return fingerprint.replace(f":{version('chardetng-py')}:", ":<chardetng-py>:")


def _pinned_part(formats: Sequence[Format]) -> list[str]:
    with limits_applied(DocumentLimits(ocr_languages="eng")):
        return [_without_versions(each.fingerprint) for each in formats]
