"""`python -m cogorch_dagster.cli` is `cogorch`."""

from cogorch_dagster.cli import main

main()
