"""Draw a video of each clip with its meta-actions, curves and labels; ``--help`` lists the arguments."""

import sys

from coc_labeling.pictures.command import main

if __name__ == "__main__":
    sys.exit(main())
