"""Sample Office files, new and old, that the tests of the parsers create."""

from __future__ import annotations

import struct

from tvdb_assets_tests.parsing.sample_files import make_zip

_FREE, _END = 0xFFFFFFFF, 0xFFFFFFFE
_SECTOR = 512
_SMALL = 4_096  # bytes; a smaller stream would be stored elsewhere, so it is padded


def make_ole(streams: dict[str, bytes]) -> bytes:
    """An OLE2 compound file; ``folder/name`` puts a stream into a folder."""
    entries: list[tuple[str, int, int, list[int], int, int]] = []  # name, type, parent, …
    folders = sorted(
        {
            "/".join(path.split("/")[:depth])
            for path in streams
            for depth in range(1, path.count("/") + 1)
        }
    )
    body = bytearray()
    table: list[int] = []

    def add_stream(data: bytes) -> tuple[int, int]:
        data = data.ljust(_SMALL, b"\0")
        first, count = len(table), -(-len(data) // _SECTOR)
        table.extend([*range(first + 1, first + count), _END])
        body.extend(data.ljust(count * _SECTOR, b"\0"))
        return first, len(data)

    order = sorted([*streams, *folders], key=lambda path: path.count("/"))
    numbers_of = {path: number for number, path in enumerate(order, 1)}
    for path in order:
        parent = numbers_of.get(path.rpartition("/")[0], 0)
        kind = 1 if path in folders else 2
        start, size = (0, 0) if kind == 1 else add_stream(streams[path])
        entries.append((path.split("/")[-1], kind, parent, [], start, size))
    children: dict[int, list[int]] = {}
    for number, (_, _, parent, *_) in enumerate(entries, 1):
        children.setdefault(parent, []).append(number)
    links = dict.fromkeys(range(len(entries) + 1), (_FREE, _FREE))
    for numbers in children.values():
        for here, following in zip(numbers, [*numbers[1:], _FREE], strict=True):
            links[here] = (_FREE, following)
    directory = bytearray()
    root = ("Root Entry", 5, 0, [], _END, 0)
    for number, (name, kind, _, _, start, size) in enumerate([root, *entries]):
        raw = name.encode("utf-16-le")
        child = children.get(number, [_FREE])[0]
        directory += raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw) + 2, kind, 1)
        directory += struct.pack("<III", *links[number], child) + b"\0" * 36
        directory += struct.pack("<IQ", start, size)
    while len(directory) % _SECTOR:
        directory += b"\0" * 68 + struct.pack("<III", _FREE, _FREE, _FREE) + b"\0" * 48
    first_directory = len(table)
    count = len(directory) // _SECTOR
    table.extend([*range(first_directory + 1, first_directory + count), _END])
    body += directory
    needed = 1
    while (len(table) + needed) * 4 > needed * _SECTOR:
        needed += 1
    first_table = len(table)
    table.extend([0xFFFFFFFD] * needed)
    packed = struct.pack(f"<{len(table)}I", *table).ljust(needed * _SECTOR, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    head += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    head += struct.pack("<III", 0, needed, first_directory) + struct.pack("<I", 0)
    head += struct.pack("<IIIII", _SMALL, _END, 0, _END, 0)
    places = [*range(first_table, first_table + needed)]
    head += struct.pack("<109I", *places, *([_FREE] * (109 - needed)))
    return head + bytes(body) + packed


def make_doc() -> bytes:
    """Word 97: a heading, a list item, a table, a field, text in both encodings."""
    narrow = "Cover\rfirst item\rItem\x07Limit\x07\x07Roof\x07\x07\x07"
    wide = 'Paid in \u20ac, see \x13 HYPERLINK "x" \x14the \U0001f600 list\x15.\r'
    start = 0x800
    second = start + len(narrow)
    second += second % 2
    stream = bytearray(0x1000)
    struct.pack_into("<HH", stream, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", stream, 10, 0x0200)
    units = len(wide.encode("utf-16-le")) // 2
    struct.pack_into("<i", stream, 0x4C, len(narrow) + units)
    stream[start : start + len(narrow)] = narrow.encode("cp1252")
    stream[second : second + 2 * units] = wide.encode("utf-16-le")
    pieces = struct.pack("<III", 0, len(narrow), len(narrow) + units)
    pieces += struct.pack("<HIH", 0, start * 2 | 0x40000000, 0)
    pieces += struct.pack("<HIH", 0, second, 0)
    clx = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", stream, 0x01A2, 0, len(clx))
    # One page of paragraph properties: heading 1, list item, then cells and two row ends.
    kinds = [(6, 1, b""), (17, 0, b"\x0b\x46\x01\x00")]
    cell, row = b"\x16\x24\x01", b"\x16\x24\x01\x17\x24\x01"
    kinds += [
        (22, 0, cell),
        (28, 0, cell),
        (29, 0, row),
        (34, 0, cell),
        (35, 0, cell),
        (36, 0, row),
    ]
    page = bytearray(512)
    page[-1] = len(kinds)
    ends = [start, *(start + end for end, _, _ in kinds)]
    struct.pack_into(f"<{len(ends)}I", page, 0, *ends)
    place = 500
    for number, (_, style, properties) in enumerate(kinds):
        body = struct.pack("<H", style) + properties
        body += b"\0" * (len(body) % 2)
        place -= len(body) + 2
        page[place] = 0
        page[place + 1] = len(body) // 2
        page[place + 2 : place + 2 + len(body)] = body
        page[4 * len(ends) + 13 * number] = place // 2
    stream += page
    plc = struct.pack("<III", start, start + len(narrow), 0x1000 // 512)
    struct.pack_into("<II", stream, 0x0102, len(clx), len(plc))
    return make_ole({"WordDocument": bytes(stream), "1Table": clx + plc})


def _record(kind: int, body: bytes, *, instance: int = 0, is_container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | (15 if is_container else 0), kind, len(body)) + body


def make_ppt() -> bytes:
    """PowerPoint 97: one slide with title and text, its notes, and an older save of it."""

    def text(kind: int, words: str) -> bytes:
        atom = _record(0x0FA0, words.encode("utf-16-le"))
        return _record(0x0F9F, struct.pack("<I", kind)) + atom

    def page(kind: int, atom: bytes, *texts: bytes) -> bytes:
        boxes = b"".join(_record(0xF00D, t, is_container=True) for t in texts)
        return _record(kind, atom + _record(0x040C, boxes, is_container=True), is_container=True)

    slide_atom = _record(0x03EF, struct.pack("<IQII", 0, 0, 0, 300) + b"\0" * 4)
    old = page(0x03EE, slide_atom, text(0, "Old title"))
    reference = _record(0x0F9E, struct.pack("<I", 0))
    slide = page(
        0x03EE, slide_atom, reference, text(4, "A box: \u20ac 5\rsecond line"), text(4, "*")
    )
    notes = page(0x03F0, b"", text(2, "Say this aloud."))
    outline = _record(0x03F3, struct.pack("<IIIII", 2, 0, 1, 256, 0)) + text(0, "New title")
    listed = _record(0x0FF0, outline, instance=0, is_container=True)
    listed += _record(
        0x0FF0, _record(0x03F3, struct.pack("<IIIII", 3, 0, 0, 300, 0)), instance=2,
        is_container=True,
    )  # fmt: skip
    document = _record(0x03E8, listed, is_container=True)
    stream = bytearray()
    places = []
    for part in (old, document, slide, notes):
        places.append(len(stream))
        stream += part

    def save(numbers: list[int], last: int) -> int:
        directory = len(stream)
        entries = struct.pack("<I", 1 | len(numbers) << 20)
        entries += struct.pack(f"<{len(numbers)}I", *numbers)
        stream.extend(_record(0x1772, entries))
        edit = len(stream)
        body = struct.pack("<IIIIIIHH", 0, 0, last, directory, 1, 4, 0, 0)
        stream.extend(_record(0x0FF5, body))
        return edit

    first = save([places[1], places[0], places[3]], 0)
    second = save([places[1], places[2], places[3]], first)
    user = _record(0x0FF6, struct.pack("<III", 20, 0xE391C05F, second))
    return make_ole({"PowerPoint Document": bytes(stream), "Current User": user})


def make_msg(*, body: str | None = "The body.\r\nÜber \u20ac.", html: bytes | None = None) -> bytes:
    def wide(text: str) -> bytes:
        return text.encode("utf-16-le")

    moment = 116_444_736_000_000_000 + 1_000_000_000 * 10_000_000
    numbers = b"\0" * 32 + struct.pack("<IIQ", 0x00390040, 0, moment)
    numbers += struct.pack("<IIQ", 0x3FDE0003, 0, 1252)
    streams = {
        "__properties_version1.0": numbers,
        "__substg1.0_0037001F": wide("Claim 7"),
        "__substg1.0_0C1A001F": wide("Ann"),
        "__substg1.0_0C1F001F": wide("ann@example.org"),
        "__substg1.0_0E04001F": wide("Bob"),
        "__attach_version1.0_#00000000/__substg1.0_3707001F": wide("bill.pdf"),
        "__attach_version1.0_#00000000/__substg1.0_37010102": b"%PDF",
    }
    if body is not None:
        streams["__substg1.0_1000001F"] = wide(body)
    if html is not None:
        streams["__substg1.0_10130102"] = html
    return make_ole(streams)


def make_xls(*, is_far: bool = True) -> bytes:
    """Excel 97: a sheet of two rows, and optionally a number in a far cell."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    def label(row: int, column: int, text: str) -> bytes:
        body = struct.pack("<HHHHB", row, column, 0, len(text), 1) + text.encode("utf-16-le")
        return record(0x0204, body)

    sheet = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x10, 0, 0, 0, 6))
    sheet += label(0, 0, "Item") + label(0, 1, "Price \u20ac") + label(1, 0, "Roof")
    sheet += record(0x0203, struct.pack("<HHHd", 1, 1, 0, 12.5))
    if is_far:
        sheet += record(0x0203, struct.pack("<HHHd", 65_535, 255, 0, 7.0))
    sheet += record(0x000A, b"")
    name = b"Prices"
    start = record(0x0809, struct.pack("<HHHHII", 0x0600, 5, 0, 0, 0, 6))
    start += record(0x0042, struct.pack("<H", 1_200))
    bound = len(start) + 4 + 8 + len(name) + 4
    start += record(0x0085, struct.pack("<IHBB", bound, 0, len(name), 0) + name)
    return make_ole({"Workbook": start + record(0x000A, b"") + sheet})


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def _relations(**targets: str) -> str:
    links = "".join(
        f'<Relationship Id="{number}" Type="{_RELATIONS}/{kind.rstrip("0123456789")}" '
        f'Target="{target}"/>'
        for kind, target in targets.items()
        for number in [kind]
    )
    return f'<Relationships xmlns="{_PACKAGE}">{links}</Relationships>'


def make_xlsx(rows: str, *, extra_sheet: str = "", state: str = "visible") -> bytes:
    """A workbook whose first sheet has these ``<row>`` elements."""

    def sheet(content: str) -> str:
        return f'<worksheet xmlns="{_MAIN}"><sheetData>{content}</sheetData></worksheet>'

    return make_zip(
        **{
            "[Content_Types].xml": "<Types/>",
            "_rels__.rels": _relations(officeDocument="xl/workbook.xml"),
            "xl__workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
            f'<sheet name="First" sheetId="1" r:id="worksheet1"/>'
            f'<sheet name="Second" sheetId="2" state="{state}" r:id="worksheet2"/>'
            "</sheets></workbook>",
            "xl___rels__workbook.xml.rels": _relations(
                worksheet1="worksheets/sheet1.xml",
                worksheet2="worksheets/sheet2.xml",
                sharedStrings="sharedStrings.xml",
                styles="styles.xml",
            ),
            "xl__sharedStrings.xml": f'<sst xmlns="{_MAIN}"><si><t>Item</t></si>'
            "<si><r><t>Bound </t></r><r><t>until</t></r><rPh><t>read aloud</t></rPh></si></sst>",
            "xl__styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts><numFmt numFmtId="200" '
            'formatCode="yyyy&quot;-y&quot;-mm"/></numFmts><cellXfs><xf numFmtId="0"/>'
            '<xf numFmtId="14"/><xf numFmtId="200"/><xf numFmtId="10"/></cellXfs></styleSheet>',
            "xl__worksheets__sheet1.xml": sheet(rows),
            "xl__worksheets__sheet2.xml": sheet(extra_sheet),
        }
    )


_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"


def _shape(text: str, role: str = "", style: str = "") -> str:
    place = f'<p:nvPr><p:ph type="{role}"/></p:nvPr>' if role else "<p:nvPr/>"
    lines = "".join(f"<a:p>{style}<a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def _page(kind: str, shapes: str, more: str = "") -> str:
    spaces = f'xmlns:p="{_P}" xmlns:a="{_A}" xmlns:r="{_RELATIONS}"'
    return f"<p:{kind} {spaces} {more}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{kind}>"


def make_pptx() -> bytes:
    """Two slides: the first in the list is the second in the file; one has notes, one is hidden."""
    table = "".join(
        f"<a:tr><a:tc><a:txBody><a:p><a:r><a:t>{a}</a:t></a:r></a:p></a:txBody></a:tc>"
        f"<a:tc><a:txBody><a:p><a:r><a:t>{b}</a:t></a:r></a:p></a:txBody></a:tc></a:tr>"
        for a, b in (("Item", "Limit"), ("Roof", "500"))
    )
    bullets = '<a:pPr><a:buChar char="x"/></a:pPr>'
    group = f"<p:grpSp>{_shape('In a group')}</p:grpSp>"
    return make_zip(
        **{
            "[Content_Types].xml": "<Types/>",
            "_rels__.rels": _relations(officeDocument="ppt/presentation.xml"),
            "ppt__presentation.xml": f'<p:presentation xmlns:p="{_P}" xmlns:r="{_RELATIONS}">'
            '<p:sldIdLst><p:sldId id="256" r:id="slide2"/><p:sldId id="257" r:id="slide1"/>'
            "</p:sldIdLst></p:presentation>",
            "ppt___rels__presentation.xml.rels": _relations(
                slide1="slides/slide1.xml", slide2="slides/slide2.xml"
            ),
            "ppt__slides__slide1.xml": _page("sld", _shape("Last words"), 'show="0"'),
            "ppt__slides__slide2.xml": _page(
                "sld",
                _shape("Cover", "title")
                + _shape("one\ntwo", style=bullets)
                + group
                + f"<p:graphicFrame><a:graphic><a:tbl>{table}</a:tbl></a:graphic></p:graphicFrame>"
                + _shape("7", "sldNum"),
            ),
            "ppt__slides___rels__slide2.xml.rels": _relations(
                notesSlide="../notesSlides/notesSlide1.xml"
            ),
            "ppt__notesSlides__notesSlide1.xml": _page("notes", _shape("Speak slowly.", "body")),
        }
    )


def make_odf(kind: str, body: str, **members: str) -> bytes:
    """An OpenDocument file with this body."""
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    names = ("office", "text", "table", "drawing", "presentation")
    spaces = " ".join(f'xmlns:{name}="{office}{name}:1.0"' for name in names)
    content = f"<office:document-content {spaces}><office:body>{body}</office:body>"
    return make_zip(
        **{
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": content + "</office:document-content>",
            **members,
        }
    )


def make_epub(*chapters: str, manifest: str = "") -> bytes:
    items = "".join(
        f'<item id="c{number}" href="c%20{number}.xhtml" media-type="application/xhtml+xml"/>'
        for number in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    return make_zip(
        **{
            "mimetype": "application/epub+zip",
            "META-INF__container.xml": '<container><rootfiles><rootfile full-path="OPS/p.opf"/>'
            "</rootfiles></container>",
            "OPS__p.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>The Book</dc:title></metadata><manifest>{items}{manifest}</manifest>"
            f"<spine>{spine}<itemref idref='out'/></spine></package>",
            **{
                f"OPS__c {number}.xhtml": '<?xml version="1.0"?><html xmlns='
                f'"http://www.w3.org/1999/xhtml"><body>{chapter}</body></html>'
                for number, chapter in enumerate(chapters)
            },
        }
    )


RTF = rb"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset238 B;}}
{\stylesheet{\s1 heading 1;}}{\*\generator x}{\info{\title no}}
\pard\s1 Cover\par\pard\f1 \'c8l\'e1nek\f0  {\b costs} \u8364 ?5\'85 {\v hidden}\par
{\pntext\'b7\tab}one\par{\pntext\'b7\tab}two\par
\trowd\intbl Item\cell Limit\cell\row\intbl Roof\cell 500\cell\row\pard
{\field{\*\fldinst HYPERLINK "x"}{\fldrslt a link}}{\pict 0102}\par}"""
