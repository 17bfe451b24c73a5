"""How far two sets of labels agree, and what a sample of reviewed labels says of all of them."""
