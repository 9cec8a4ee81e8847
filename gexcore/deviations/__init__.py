"""Deviations: the table D of loss deviations, and the means over it."""
