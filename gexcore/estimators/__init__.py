"""The named methods: each chooses a distribution of parameters and a deviation."""
