"""The online engine: what we do with a model when somebody asks."""

import settings

settings.one_thread()  # here, because any other module of this room may be the first to import numpy
