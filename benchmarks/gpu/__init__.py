"""The sections of `on_gpu.py`, one question a file: each has a title and yields the rows of its table."""
