"""How long a section may take."""

import time


class OutOfTime(Exception):
    """A section went on for longer than it may."""


class Clock:
    """Counts from its making; a section calls `check` wherever it can stop without losing a row."""

    def __init__(self, limit: float):
        self.limit, self.start = limit, time.perf_counter()

    @property
    def passed(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self.start

    def check(self) -> None:
        """Raises OutOfTime once the limit has passed."""
        if self.passed > self.limit:
            raise OutOfTime(f"The section may take {self.limit:.0f} s and stopped after {self.passed:.0f} s.")
