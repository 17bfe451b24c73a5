"""Reading driving clips from datasets on disk: ego motion on ticks, obstacle tracks, where the video lies."""
