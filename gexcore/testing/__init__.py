"""The conformance kit: laws for all backends, inside and outside this project.

Some backends can express a small perceptron. They convert the NumPy parameters of a `Toy`, and the
kit also compares them with the hand-derived oracle::

    from gexcore.testing.suite import BackendTests

    class TestMine(BackendTests):
        def build(self, toy):
            return MyBackend(convert(toy.model), loss=toy.loss, optimizer=toy.optimizer)

Any other backend brings its own problem, and is held to the laws alone::

    from gexcore.testing.problems import Problem

    class TestMine(BackendTests):
        @pytest.fixture
        def problem(self):
            return Problem(MyBackend(model), (x, y))

Each law is also a plain function, such as ``gexcore.testing.checks.check_forward(problem)``.
``gexcore.testing.datasets.check_dataset(dataset)`` holds a dataset to its contract. Laws of missing
capabilities are skipped. The kit needs ``pip install 'gexcore[testing]'``.
"""

from __future__ import annotations
