"""How good predictions are: trajectories against what was driven, sentences against labels and against trajectories.

Numbers come from numpy alone; nothing here imports torch, so that predictions can be judged where no model runs.
"""
