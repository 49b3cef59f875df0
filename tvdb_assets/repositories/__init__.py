"""The tables of the schema `tvdb`: reads and writes by table, migrations, advisory locks.

What belongs here: SQL, in the modules named after their tables, and connections (`database`). What
does not: decisions about documents (`lifecycle`), money (`spend_guard`), searching (`retrieval`),
or summaries for people (`reporting`).
"""
