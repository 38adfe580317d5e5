"""Laws with exact denoisers, scores and densities at every noise level."""
