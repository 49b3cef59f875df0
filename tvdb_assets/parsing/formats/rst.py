"""reStructuredText, by docutils: its HTML, rendered like any other HTML.

What belongs here: reStructuredText. What does not: rendering (`markdown.html_renderer`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tvdb_assets.parsing.markdown.html_renderer import parse_tree, render
from tvdb_assets.parsing.markup_parser import LONGEST_LINE, ConvertedMarkup, MarkupParser

_TARGET = re.compile(r"\s*<[^<>]{1,500}>\s*\Z")
# No file is read, no raw markup of other languages passes, no configuration file applies.
_SETTINGS: dict[str, Any] = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "halt_level": 6,
    "report_level": 5,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "stylesheet_path": [],
    "embed_stylesheet": False,
    "image_loading": "link",
    "line_length_limit": 10_000_000,
    "initial_header_level": 2,
    "doctitle_xform": True,
    "smart_quotes": False,
}


class RstParser(MarkupParser):
    """Reads the output of docutils; the content of unknown directives, as of Sphinx, stays."""

    media_types = frozenset({"text/x-rst"})
    name = "reStructuredText"
    revision = 2
    service = "docutils"
    model = "html"
    other_libraries = ("lxml",)
    longest_line = LONGEST_LINE
    preserved = "headings, lists, tables, code, notes, the content of unknown directives"
    not_preserved = "included files, raw HTML and LaTeX, pictures, link targets"
    imports = (
        "docutils.core",
        "docutils.languages.en",
        "docutils.nodes",
        "docutils.parsers.rst.directives.body",
        "docutils.parsers.rst.directives.images",
        "docutils.parsers.rst.directives.misc",
        "docutils.parsers.rst.directives.tables",
        "docutils.parsers.rst.languages.en",
        "docutils.readers.standalone",
        "docutils.transforms.references",
        "docutils.writers.html5_polyglot",
    )

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a source; included files are not read."""
        from docutils.core import publish_parts

        parts = publish_parts(
            source,
            parser=_parser(),
            writer="html5",
            settings_overrides=_SETTINGS,
        )
        tree, _ = parse_tree(f"<body>{parts['html_body']}</body>")
        if tree is None:
            return ConvertedMarkup("", 0)
        rendered = render(tree, frozenset())
        title = re.sub(r"<[^<>]{0,500}>", "", parts["title"]) or None
        return ConvertedMarkup(rendered.text, rendered.tables, title)


def _parser() -> Any:
    """The library's parser, changed to keep the content of unknown roles and directives."""
    from docutils import nodes
    from docutils.parsers.rst import Parser, roles, states
    from docutils.statemachine import StringList

    def interpreted(self: Any, rawsource: str, text: str, role: str, lineno: int) -> Any:
        known, _ = roles.role(role, self.language, lineno, self.reporter)
        if known is not None:
            return states.Inliner.interpreted(self, rawsource, text, role, lineno)
        title = _TARGET.sub("", text).lstrip("~!") or text
        return [nodes.inline(rawsource, title)], []

    def unknown_directive(self: Any, type_name: str) -> Any:
        block, _, _, ended = self.state_machine.get_first_known_indented(0, strip_indent=False)
        content = [line.strip() if not n else line for n, line in enumerate(block)]
        argument = content[0].partition("::")[2].strip() if content else ""
        box = nodes.container()
        if argument and type_name not in {"highlight", "module", "currentmodule", "index"}:
            box += nodes.paragraph(argument, argument)
        rest = StringList(list(block[1:]), source="")
        indents = (len(line) - len(line.lstrip()) for line in rest if line.strip())
        rest.trim_left(min(indents, default=0))
        while rest and (not rest[0].strip() or rest[0].startswith(":")):
            rest.trim_start()
        if rest:
            self.nested_parse(rest, self.state_machine.line_offset, box)
        return [box], ended

    classes: list[Any] = []

    def start(base: Any) -> Callable[..., None]:
        def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
            base.__init__(self, *args, **options)
            self.nested_sm_kwargs = {"state_classes": classes, "initial_state": "Body"}

        return __init__

    for base in states.state_classes:
        members: dict[str, Any] = {"__init__": start(base)}
        if issubclass(base, states.Body):
            members["unknown_directive"] = unknown_directive
        classes.append(type(base.__name__, (base,), members))
    # The class reads its patterns from its own attributes and ignores inherited ones.
    own = {name: value for name, value in vars(states.Inliner).items() if name[:2] != "__"}
    inliner = type("Inliner", (states.Inliner,), {**own, "interpreted": interpreted})

    class ParserWithoutFiles(Parser):
        def parse(self, inputstring: str, document: Any) -> None:
            super().parse(inputstring, document)
            for image in document.findall(nodes.image):
                # The writer would read the file of the picture, and insert the text of an SVG. No
                # setting prevents that.
                image.attributes.pop("loading", None)

    parser = ParserWithoutFiles(inliner=inliner())
    parser.state_classes = classes
    return parser


PARSER = RstParser()
