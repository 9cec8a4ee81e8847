"""The table D of loss deviations, and what is a mean over it."""
