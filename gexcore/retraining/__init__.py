"""Does influence predict retraining? Trainings on parts of the data, and what they are compared to.

`lds` compares influence with trainings on random halves. `brittleness` removes the samples that
influence names, and trains again. The folder ``gexcore/evaluation`` holds something else: losses of
one model over data.
"""

from gexcore.retraining.agreement import Agreement, lds
from gexcore.retraining.brittle import Brittleness, brittleness
from gexcore.retraining.outcomes import Outcomes, retrain_on

__all__ = ["Agreement", "Brittleness", "Outcomes", "brittleness", "lds", "retrain_on"]
