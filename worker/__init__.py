"""The online engine: what we do with a model when somebody asks."""
