"""A built world in which the cause decides the future: proof that training and inference fit together, and no more."""
