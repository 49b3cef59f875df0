"""Reading of bytes that several formats share: encodings, XML, ZIP and OLE2 containers, OCR.

What belongs here: code from bytes to characters, elements or streams. What does not: the meaning
of a format's content (`parsing.formats`), and writing Markdown (`parsing.markdown`).
"""
