"""The message contract: all that Segue's processes say to each other through Redis, both ways."""
