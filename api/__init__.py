"""The HTTP contract: both ends of what the world sees."""
