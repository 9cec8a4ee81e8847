"""Ensembles: distributions of parameters that members are drawn from."""
