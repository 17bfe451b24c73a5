"""Camera videos: found, opened in place, and read frame by frame at exact times. Needs PyAV only once one is opened."""
