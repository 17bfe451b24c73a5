"""Labels and what they are about, for other tools."""
