"""Pure functions on texts, vectors, names and listings: no I/O, no clock, no settings.

What belongs here: chunking, normalization, validation, token counts, partition keys. What does
not: anything that reads a file, a database or a service.
"""
