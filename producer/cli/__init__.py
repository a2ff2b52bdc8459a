"""The command line, `python -m producer`: recommendations, playlists and whole files of them, from a terminal.

    python -m producer recommend "Spider - Perander Draythwaite"
    python -m producer batch seeds.csv --out lists/

docs/howto/command-line.md shows it at work.
"""
