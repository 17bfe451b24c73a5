"""Generative models of action sequences."""
