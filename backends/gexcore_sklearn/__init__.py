"""scikit-learn for gexcore: any estimator that can be fitted step by step.

The package itself imports nothing, so that finding the backend does not load scikit-learn.
"""
