"""Choosing what to label before paying for it: scenes by how much they teach, without faulty ones, within a budget."""
