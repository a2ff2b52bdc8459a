"""Measurements of speed and memory, beside the tests and never in them."""
