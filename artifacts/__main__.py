"""Look after the versions of the model, below ARTIFACTS_DIR or --artifacts DIR.

    python -m artifacts list                 # which versions there are, and which one is in service
    python -m artifacts verify [VERSION]     # read every byte of it, and say what is wrong
    python -m artifacts promote VERSION      # put it in service
    python -m artifacts rollback             # put the version before the one in service in service
    python -m artifacts prune [--keep N]     # delete all but the newest, and never the one in service
    python -m artifacts export [VERSION] [--output FILE]  # the catalogue with its clusters, as CSV

Without VERSION it is the one in service. Exit codes: 0; 1 if something is wrong; 2 if the command line is.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import settings
from artifacts import store
from artifacts.export import write_csv
from artifacts.manifest import ModelError
from artifacts.model import Model

_STDOUT = Path("-")


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, or 1 after a message on standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "prune" and options.keep < 1:
        parser.error("--keep: 1 at least")
    try:
        root = options.artifacts or settings.load().models_dir
        options.run(root, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough (| head). Python flushes once more at its end, into nothing now.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ModelError, settings.BadSettings, OSError) as error:
        print(f"python -m artifacts: {error}", file=sys.stderr)
        return 1
    return 0


def _list(root: Path, _options: argparse.Namespace) -> None:
    """Print a line a version, oldest first; of one that this release cannot use, why."""
    names = store.versions(root)
    if not names:
        _say(f"{root}: no model was published here; `python -m training` with --demo or --data makes one")
        return
    try:
        in_service = store.current(root)
        problem = "no version is in service" if in_service is None else f"{in_service} is in service, but not there"
    except ModelError as error:
        in_service, problem = None, str(error)
    print(f"{'':<7} {'version':<24} {'published':<20} {'tracks':>12}  source")
    for name in names:
        try:
            manifest = store.manifest_of(root, name)
            about = f"{manifest.created_at:<20} {manifest.tracks:>12,}  {_source(manifest.source)}"
        except ModelError as error:
            about = f"cannot be used: {error}"
        print(f"{'CURRENT' if name == in_service else '':<7} {name:<24} {about}")
    if in_service not in names:
        raise ModelError(f"{problem}; `python -m artifacts promote VERSION` chooses one")


def _source(source: dict[str, Any]) -> str:
    if source.get("kind") == "demo":
        return f"demo catalogue, {source['rows']:,} rows, seed {source['seed']}"
    return f"{source.get('name')}, sha256 {str(source.get('sha256'))[:12]}…"


def _verify(root: Path, options: argparse.Namespace) -> None:
    version = _version(root, options)
    _check(root, version)
    print(f"{version}: every file is what the manifest says, and this release reads it as it was meant")


def _promote(root: Path, options: argparse.Namespace) -> None:
    _put_in_service(root, _version(root, options))


def _rollback(root: Path, _options: argparse.Namespace) -> None:
    _put_in_service(root, store.previous(root))


def _put_in_service(root: Path, version: str) -> None:
    _check(root, version)
    store.promote(root, version)
    _say(f"{version} is CURRENT; workers that run serve it after a restart")


def _prune(root: Path, options: argparse.Namespace) -> None:
    deleted = store.prune(root, options.keep) if root.is_dir() else []
    for version in deleted:
        print(f"deleted {version}")
    if not deleted:
        _say(f"{root}: nothing to delete, with {options.keep} to keep and the one in service")


def _export(root: Path, options: argparse.Namespace) -> None:
    model = Model.load(root, _version(root, options))
    to_screen = options.output == _STDOUT and sys.stdout.isatty()
    show = sys.stderr.isatty() and not to_screen

    def progress(done: int) -> None:
        if show:
            print(f"\r{done:,} of {len(model):,} tracks", end="", file=sys.stderr, flush=True)

    with _opened(options.output) as file:
        write_csv(model, file, for_spreadsheets=options.for_spreadsheets, progress=progress)
    if show:
        print(file=sys.stderr)


@contextmanager
def _opened(output: Path) -> Iterator[TextIO]:
    """Open what to write to. A file appears under its name when it is whole, and not at all if that fails."""
    if output == _STDOUT:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as file:
            yield file
    elif output.exists() and not output.is_file():  # /dev/null, a named pipe: nothing to put in its place
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    else:
        aside = output.with_name(f"{output.name}.partial")
        try:
            with aside.open("w", encoding="utf-8", newline="") as file:
                yield file
            aside.replace(output)
        finally:
            aside.unlink(missing_ok=True)


def _version(root: Path, options: argparse.Namespace) -> str:
    """Return the version that was asked for, or the one in service. Raises: ModelError if there is none."""
    version: str | None = store.current(root) if options.version is None else options.version
    if version is None:
        raise ModelError(f"{root}: no version is in service; `python -m artifacts list` shows those there are")
    if version not in store.versions(root):
        raise ModelError(f"{root}: no version {version!r}; `python -m artifacts list` shows those there are")
    return version


def _check(root: Path, version: str) -> None:
    """Raise ModelError with all that is wrong with a version, if anything is."""
    problems = store.problems(root, version)
    if not problems:
        Model.load(root, version, verify=False)  # whether this release makes the same of the data as training did
        return
    raise ModelError(
        "\n".join([f"{version} is not to be served:", *problems, "train again, or promote another version"])
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m artifacts", description="Look after the versions of the model.")
    where: dict[str, Any] = {"type": Path, "metavar": "DIR", "help": "where they lie (ARTIFACTS_DIR)"}
    parser.add_argument("--artifacts", **where)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Path, argparse.Namespace], None], help_: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=help_)
        added.add_argument("--artifacts", default=argparse.SUPPRESS, **where)  # before the command, or behind it
        added.set_defaults(run=run)
        return added

    which: dict[str, Any] = {"metavar": "VERSION", "nargs": "?", "help": "the one in service if left out"}
    command("list", _list, "Show the versions, and which one is in service.")
    command("verify", _verify, "Read every byte of a version, and say what is wrong.").add_argument("version", **which)
    command("promote", _promote, "Check a version and put it in service.").add_argument("version", metavar="VERSION")
    command("rollback", _rollback, "Put the version that was published before the one in service in service.")
    prune = command("prune", _prune, "Delete all but the newest versions, and never the one in service.")
    prune.add_argument("--keep", type=int, metavar="N", default=store.KEEP_VERSIONS, help="how many, from 1 (5)")
    export = command("export", _export, "Write the catalogue with its clusters as CSV.")
    export.add_argument("version", **which)
    export.add_argument("--output", type=Path, metavar="FILE", default=_STDOUT, help="a file; - is standard output (-)")
    export.add_argument(
        "--for-spreadsheets",
        action="store_true",
        help="put a ' before text that a spreadsheet may take for a formula; it changes the data",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
