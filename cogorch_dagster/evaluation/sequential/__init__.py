"""Is it better? Answers that stay valid however often one looks: confidence sequences and the verdict on two arms.

Here: boundaries, confidence sequences of means and quantiles, covariate adjustment, the sample-ratio check, verdicts.
Not here: where the observations come from (`evaluation.measurement`), what is done after a verdict.
"""
