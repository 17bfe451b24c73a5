"""What is reviewed by whom: labels taken in, put into batches, listed; and labels with a known answer among them."""
