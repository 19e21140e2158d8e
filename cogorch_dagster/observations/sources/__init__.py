"""Where observations come from, one file per kind of source: it yields rows or observations and stores nothing."""
