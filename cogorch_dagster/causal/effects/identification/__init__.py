"""Whether, and by which formula, a graph and data without intervention determine an effect."""
