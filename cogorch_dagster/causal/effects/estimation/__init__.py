"""From rows to an effect with its standard error: one estimator to a file, arrays in, frozen results out.

Which columns to adjust for is `identification/`'s answer; whether to believe the result is `refutation/`'s.
"""
