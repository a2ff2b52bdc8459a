"""`push FILE`: put a playlist's file into a Spotify account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command("push")(push)


def push(
    file: Annotated[
        Path, typer.Argument(help="A playlist in any format that can be read; its songs need Spotify ids.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What to call it.  [default: FILE's name]", show_default=False)
    ] = None,
    public: Annotated[bool, typer.Option("--public/--private", help="Whether others see it on your profile.")] = False,
    description: Annotated[str, typer.Option(help="What to say of it.")] = "",
    kind: Annotated[
        str | None,
        typer.Option(
            "--from", help="What FILE is: csv, jsonl, m3u8, xspf, jspf, lines.", show_default="told by itself"
        ),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Begin with a new playlist, whatever was pushed before.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Open the browser for the login without asking.")] = False,
    paste: Annotated[
        bool, typer.Option("--paste", help="Log in with a browser elsewhere, and paste the address that it ends at.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Put a playlist's file into your Spotify account.

    Run again after Ctrl-C, a crash or a loss of the network, it goes on where it was and adds nothing twice. Exit code
    0: all songs are in; 1: some could not be; 2: wrong usage; 3: Spotify could not or would not; 130: interrupted.
    """
    from producer.cli import pushing  # only who pushes waits for the libraries that it takes

    wanted = pushing.Wanted(file, name, public, description, kind, new, dry_run)
    raise typer.Exit(pushing.run(wanted, browser, paste))
