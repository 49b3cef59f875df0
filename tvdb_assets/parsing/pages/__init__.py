"""The layout of a page: words, rulings, tables, in points from the top left corner.

What belongs here: pure functions on positions. What does not: reading a PDF (`parsing.formats`).
"""
