"""LaTeX, by pylatexenc: sections, lists and tables to Markdown.

What belongs here: LaTeX source. What does not: running it; no file that it names is read.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.grid import pipe_table
from tvdb_assets.parsing.formats.lines import join_lines
from tvdb_assets.parsing.formats.refusals import empty

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5,
    "subparagraph": 6,
}  # fmt: skip
_LEFT_OUT = (
    "input", "include", "verbatiminput", "lstinputlisting", "label", "includegraphics",
    "bibliography", "bibliographystyle", "usepackage", "vspace", "hspace", "documentclass",
    "title", "pagestyle", "thispagestyle", "graphicspath",
)  # fmt: skip
_SILENT = ("maketitle", "newcommand", "renewcommand", "def", "centering", "tableofcontents")
_BODY = re.compile(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|\Z)", re.DOTALL)
_TITLE = re.compile(r"\\title\s*(?:\[[^\[\]]{0,500}\])?\s*\{((?:[^{}]|\{[^{}]{0,500}\}){1,1000})\}")
_TABULAR = re.compile(
    r"\\begin\s*\{(tabular\*?|tabularx|longtable|array)\}(.*?)\\end\s*\{\1\}", re.DOTALL
)
_VERBATIM = re.compile(
    r"\\begin\s*\{(verbatim\*?|lstlisting|minted|Verbatim)\}(.*?)\\end\s*\{\1\}", re.DOTALL
)
_OPTIONS = re.compile(r"\A(?:\s*\[[^\]\n]{0,500}\]|\s*\{[^{}\n]{0,100}\})*[ \t]*\n?")
_SPECIFICATION = re.compile(
    r"\A\s*(?:\[[^\]]{0,20}\])?(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\}){0,300}\}\s*){1,2}"
)
_RULES = re.compile(r"\\(?:hline|(?:top|mid|bottom)rule|end(?:first)?head|end(?:last)?foot)\b"
                    r"|\\c(?:line|midrule)(?:\([^)]{0,20}\))?\{[^{}]{0,20}\}")  # fmt: skip
_ROW_END = re.compile(r"\\\\\*?(?:\[[^\]]{0,20}\])?|\\tabularnewline\b")
_SPAN = re.compile(r"\\multi(?:column|row)\s*\{[^{}]{0,20}\}\s*\{[^{}]{0,50}\}\s*")
_ITEM_GAP = re.compile(r"(?<!:)\n(?=\n- )")
_MARK = "\ue000{}\ue001"  # private characters hold the place of what is already Markdown
_PLACE = re.compile("\ue000(\\d{1,9})\ue001")


class LatexParser(BaseParser):
    """The text of the document environment, formulas as they are written."""

    media_types = frozenset({"application/x-tex"})
    name = "LaTeX"
    service = "pylatexenc"
    kept = "title, sections, lists, tables, code, formulas as source"
    lost = "included files, own macros, bibliographies from files, pictures, references' numbers"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a source; nothing is run and nothing is read."""
        decoded = decode(data)
        source = decoded.text.replace("\x00", "").replace("\ue000", "").replace("\ue001", "")
        title = _TITLE.search(source)
        found = _BODY.search(source)
        held: list[str] = []
        reader = _reader()

        def hold(text: str) -> str:
            held.append(text)
            return "\n\n" + _MARK.format(len(held) - 1) + "\n\n"

        def code(match: re.Match[str]) -> str:
            body = _OPTIONS.sub("", match[2], count=1).strip("\n").replace("```", "'''")
            return hold(f"```\n{body}\n```")

        def table(match: re.Match[str]) -> str:
            return hold(_table(match[2], reader))

        body = _VERBATIM.sub(code, found[1] if found else source)
        body = _TABULAR.sub(table, body)
        text = _to_text(reader, body)
        text = _PLACE.sub(
            lambda match: held[int(match[1])] if int(match[1]) < len(held) else "", text
        )
        text = _ITEM_GAP.sub("", join_lines(line.rstrip() for line in text.split("\n")))
        name = " ".join(_to_text(reader, title[1]).split()) if title else None
        if name:
            text = f"# {name}\n\n{text}"
        if not text.strip():
            raise empty()
        return make(
            [text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="latex2text",
            title=name,
            encoding=decoded.encoding,
            notes=decoded.notes(),
            facts={"tables": sum(piece.startswith("|") for piece in held)},
        )


def _to_text(reader: Any, source: str) -> str:
    return str(reader.latex_to_text(source, tolerant_parsing=True, latex_context=_syntax()))


@cache
def _syntax() -> Any:
    """What takes arguments, so that those of commands that are left out go with them."""
    from pylatexenc import latexwalker, macrospec

    context = latexwalker.get_default_latex_context_db()
    context.add_context_category(
        "ours", prepend=True, macros=[macrospec.MacroSpec(name, "[{") for name in _LEFT_OUT]
    )
    return context


def _reader() -> Any:
    from pylatexenc import latex2text

    context = latex2text.get_default_latex_context_db()
    macros = [
        latex2text.MacroTextSpec(name, simplify_repl=_section(level))
        for name, level in _SECTIONS.items()
    ]
    macros += [
        latex2text.MacroTextSpec("item", simplify_repl=_item),
        *(latex2text.MacroTextSpec(name, discard=True) for name in (*_LEFT_OUT, *_SILENT)),
        *(
            latex2text.MacroTextSpec(name, simplify_repl=_note)
            for name in ("footnote", "footnotetext", "thanks")
        ),
        latex2text.MacroTextSpec("caption", simplify_repl=_caption),
    ]
    context.add_context_category("ours", prepend=True, macros=macros)
    return latex2text.LatexNodes2Text(
        latex_context=context, math_mode="verbatim", keep_comments=False, strict_latex_spaces=False
    )


def _last_argument(node: Any, l2tobj: Any) -> str:
    given = [a for a in (node.nodeargd.argnlist if node.nodeargd else ()) if a is not None]
    return " ".join(l2tobj.nodelist_to_text(given[-1:]).split())


def _section(level: int) -> Any:
    def write(node: Any, l2tobj: Any) -> str:
        return f"\n\n{'#' * level} {_last_argument(node, l2tobj)}\n\n"

    return write


def _item(node: Any, l2tobj: Any) -> str:
    label = _last_argument(node, l2tobj)
    return "\n- " + (f"{label}: " if label else "")


def _note(node: Any, l2tobj: Any) -> str:
    return f" [{_last_argument(node, l2tobj)}]"


def _caption(node: Any, l2tobj: Any) -> str:
    return f"\n\n{_last_argument(node, l2tobj)}\n\n"


def _table(source: str, reader: Any) -> str:
    body = _RULES.sub("", _SPECIFICATION.sub("", source, count=1))
    rows = []
    for row in _ROW_END.split(body):
        cells = [
            " ".join(_to_text(reader, _SPAN.sub("", cell)).split())
            for cell in re.split(r"(?<!\\)&", row)
        ]
        if any(cells):
            rows.append(cells)
    return pipe_table(rows)


PARSER = LatexParser()
