"""What the command lines of training share."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """Return a whole number from 1 on, for argparse. Raises: argparse.ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)
