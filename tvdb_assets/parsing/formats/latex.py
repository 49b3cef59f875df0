"""LaTeX, by pylatexenc: sections, lists and tables to Markdown.

What belongs here: LaTeX source. What does not: running it, and the files that it names.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.markup_parser import ConvertedMarkup, MarkupParser, join_lines

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5,
    "subparagraph": 6,
}  # fmt: skip
_OMITTED_WITH_ARGUMENTS = (
    "input", "include", "verbatiminput", "lstinputlisting", "label", "includegraphics",
    "bibliography", "bibliographystyle", "usepackage", "vspace", "hspace", "documentclass",
    "title", "pagestyle", "thispagestyle", "graphicspath",
)  # fmt: skip
_OMITTED = ("maketitle", "newcommand", "renewcommand", "def", "centering", "tableofcontents")
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
_PLACEHOLDER = "\ue000{}\ue001"  # private-use characters around the index of finished Markdown
_PLACEHOLDER_PATTERN = re.compile("\ue000(\\d{1,9})\ue001")


class LatexParser(MarkupParser):
    """Reads the document environment; formulas stay as they are written."""

    media_types = frozenset({"application/x-tex"})
    name = "LaTeX"
    service = "pylatexenc"
    model = "latex2text"
    preserved = "title, sections, lists, tables, code, formulas as source"
    not_preserved = (
        "included files, macros that the document defines, bibliographies from files, pictures, "
        "numbers of references"
    )
    imports = (
        "pylatexenc.latex2text._defaultspecs",
        "pylatexenc.latexwalker._defaultspecs",
        "pylatexenc.macrospec._argparsers",
    )

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a source."""
        source = source.replace("\ue000", "").replace("\ue001", "")
        title = _TITLE.search(source)
        found = _BODY.search(source)
        finished: list[str] = []
        converter = _converter()

        def placeholder(markdown: str) -> str:
            finished.append(markdown)
            return "\n\n" + _PLACEHOLDER.format(len(finished) - 1) + "\n\n"

        def code(match: re.Match[str]) -> str:
            body = _OPTIONS.sub("", match[2], count=1).strip("\n").replace("```", "'''")
            return placeholder(f"```\n{body}\n```")

        def table(match: re.Match[str]) -> str:
            return placeholder(_table(match[2], converter))

        body = _VERBATIM.sub(code, found[1] if found else source)
        body = _TABULAR.sub(table, body)
        text = _to_text(converter, body)
        text = _PLACEHOLDER_PATTERN.sub(
            lambda match: finished[int(match[1])] if int(match[1]) < len(finished) else "", text
        )
        text = _ITEM_GAP.sub("", join_lines(line.rstrip() for line in text.split("\n")))
        name = " ".join(_to_text(converter, title[1]).split()) if title else None
        if name:
            text = f"# {name}\n\n{text}"
        tables = sum(piece.startswith("|") for piece in finished)
        return ConvertedMarkup(text, tables, name)


def _to_text(converter: Any, source: str) -> str:
    return str(converter.latex_to_text(source, tolerant_parsing=True, latex_context=_syntax()))


@cache
def _syntax() -> Any:
    """The arguments of each omitted command, so that they are omitted with it."""
    from pylatexenc import latexwalker, macrospec

    context = latexwalker.get_default_latex_context_db()
    context.add_context_category(
        "ours",
        prepend=True,
        macros=[macrospec.MacroSpec(name, "[{") for name in _OMITTED_WITH_ARGUMENTS],
    )
    return context


def _converter() -> Any:
    from pylatexenc import latex2text

    context = latex2text.get_default_latex_context_db()
    macros = [
        latex2text.MacroTextSpec(name, simplify_repl=_section(level))
        for name, level in _SECTIONS.items()
    ]
    macros += [
        latex2text.MacroTextSpec("item", simplify_repl=_item),
        *(
            latex2text.MacroTextSpec(name, discard=True)
            for name in (*_OMITTED_WITH_ARGUMENTS, *_OMITTED)
        ),
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
    arguments = [a for a in (node.nodeargd.argnlist if node.nodeargd else ()) if a is not None]
    return " ".join(l2tobj.nodelist_to_text(arguments[-1:]).split())


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


def _table(source: str, converter: Any) -> str:
    body = _RULES.sub("", _SPECIFICATION.sub("", source, count=1))
    rows = []
    for row in _ROW_END.split(body):
        cells = [
            " ".join(_to_text(converter, _SPAN.sub("", cell)).split())
            for cell in re.split(r"(?<!\\)&", row)
        ]
        if any(cells):
            rows.append(cells)
    return pipe_table(rows)


PARSER = LatexParser()
