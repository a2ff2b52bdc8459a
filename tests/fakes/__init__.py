"""Servers that stand in for the two outer edges: real HTTP, on loopback."""
