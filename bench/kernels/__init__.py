"""Kernels of gexcore under pytest-benchmark, beside the same work by hand.

    pytest bench/kernels --framework torch --benchmark-json kernels.json

One framework in a process. With `--benchmark-disable` these are plain tests of the results.
"""
