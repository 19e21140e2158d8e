"""From observations to the parameters of a simulated fleet, with how well they fit. What they mean: `parameters.py`."""
