"""Search for graphs: tests and scores, the searches that use them, and how sure an edge is."""
