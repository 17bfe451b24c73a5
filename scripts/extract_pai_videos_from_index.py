"""Extract the videos of a keyframe index from the camera chunk zips; ``--help`` lists the arguments."""

import sys

from coc_labeling.video_extraction import main

if __name__ == "__main__":
    sys.exit(main())
