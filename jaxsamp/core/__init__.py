"""What every room shares: types, random numbers, checks, pytrees, batches, progress bars and fingerprints."""
