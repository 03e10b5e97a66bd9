"""`python -m cells.cli`, which the launcher starts."""

from cells.cli.main import main

main()
