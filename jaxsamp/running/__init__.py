"""The engine that carries samples from a first level to a last, over devices, and its front doors."""
