"""The tables of the schema `tvdb`: reads and writes by table, migrations, advisory locks.

What belongs here: SQL, in the modules named after their tables, and connections (`database`). What
does not: rules about documents (`lifecycle`), costs (`spend_guard`), search (`retrieval`), or
reports (`reporting`).
"""
