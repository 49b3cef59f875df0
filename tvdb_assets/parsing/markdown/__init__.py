"""Writing of the parsed text that several formats share: tables, HTML trees, the final document.

What belongs here: code from elements and cells to Markdown and to a `ParsedDocument`. What does
not: reading of bytes (`parsing.reading`), and any single format (`parsing.formats`).
"""
