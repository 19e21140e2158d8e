"""Data sets for causal questions: reading, preparation, and the statistics that discovery takes."""
