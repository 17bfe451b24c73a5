"""Labels scored by a judging model, in three stages; and whether its scores mean anything."""
