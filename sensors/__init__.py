"""What starts by itself because of the data: hours to score, a mean reward that fell, decisions to put into force.

A sensor looks and asks for a run; it computes and changes nothing itself. Each has a time budget, pages with its
cursor, begins afresh when the cursor cannot be read, and asks again with growing pauses when a run failed.
"""
