"""What everything else stands on: the PostgreSQL server, its migrations, and the processes of `cogorch up`.

Knows nothing of observations, rewards or policies beyond the names of their tables.
"""
