"""The offline engine: data in, published model out."""
