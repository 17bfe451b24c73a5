"""How far predicted trajectories are from what was driven."""
