"""The friendly command ``coc``: every step as a subcommand."""
