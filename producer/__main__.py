"""Ask Segue from a terminal: `python -m producer --help`."""

from __future__ import annotations

import sys
from pathlib import Path


def _hint(missing: str) -> str:
    """Return what to do where a library is missing: `run.sh` has installed them all in an environment of its own."""
    root = Path(__file__).resolve().parent.parent
    made = sorted((root / ".segue").glob("venv-*/.complete"), key=lambda stamp: stamp.stat().st_mtime)
    if made:
        here = made[-1].parent / "bin" / "python"
        return f"{sys.executable} lacks {missing}; what run.sh installed is here:\n\n    {here} -m producer"
    return f"{sys.executable} lacks {missing}; ./run.sh installs it, or: pip install -r requirements.txt"


if __name__ == "__main__":
    try:
        from producer.cli.app import main
    except ImportError as error:
        sys.exit(f"python -m producer: {_hint(error.name or 'a library')}")
    sys.exit(main())
