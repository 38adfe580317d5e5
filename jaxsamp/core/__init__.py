"""What every part of the library shares: types, random numbers, checks, pytrees, batches, progress and fingerprints."""
