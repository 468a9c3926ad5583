"""`python -m netgpt`: the same as the `netgpt` script."""

from netgpt.cli import main

main()
