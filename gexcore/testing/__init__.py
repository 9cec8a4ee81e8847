"""The conformance kit: what every backend is held to, for backends inside and outside this project.

A backend whose framework can express a small perceptron converts the NumPy parameters of a `Toy`
and is compared with the hand-derived oracle as well::

    from gexcore.testing.suite import BackendTests

    class TestMine(BackendTests):
        def build(self, toy):
            return MyBackend(convert(toy.model), loss=toy.loss, optimizer=toy.optimizer)

Any other backend brings a problem of its own, and is held to the laws alone::

    from gexcore.testing.problems import Problem

    class TestMine(BackendTests):
        @pytest.fixture
        def problem(self):
            return Problem(MyBackend(model), (x, y))

Each law is also a plain function, such as ``gexcore.testing.checks.check_forward(problem)``, and
``gexcore.testing.datasets.check_dataset(dataset)`` holds a dataset to its contract. Laws of
capabilities that the backend lacks are skipped. Needs ``pip install 'gexcore[testing]'``.
"""

from __future__ import annotations
