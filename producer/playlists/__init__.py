"""Playlists: what is asked and answered, and the file formats that players and services read and write."""
