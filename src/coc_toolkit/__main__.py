"""Command ``python -m coc_toolkit``, the same as ``coc``, for launchers: ``accelerate launch -m coc_toolkit train``."""

from coc_toolkit.cli import main

if __name__ == "__main__":
    main()
