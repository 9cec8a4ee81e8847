"""scikit-learn for gexcore: any estimator that can be fitted step by step.

The package imports nothing itself, so that a search for backends does not load scikit-learn.
"""
