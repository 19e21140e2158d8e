"""Graphs of causes and what is known of them beforehand: marks, knowledge, equivalence, separation, comparison."""
