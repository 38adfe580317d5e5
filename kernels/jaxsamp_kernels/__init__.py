"""Pure functions of arrays for diffusion sampling: no keys, no devices, nothing imported but JAX."""
