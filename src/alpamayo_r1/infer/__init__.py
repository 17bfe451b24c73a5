"""``coc infer``: clips in; reasoning, trajectories and pictures out."""
