"""The networks of the reasoning model, and what stands between trajectories, tokens and them."""
