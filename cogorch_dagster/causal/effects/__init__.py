"""Effects of one variable on another: whether the graph identifies them, their size, and what would overturn it."""
