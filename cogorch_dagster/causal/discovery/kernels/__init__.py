"""Inner loops compiled by numba; each file is imported only inside the function that needs it."""
