"""Studies of gexcore: each module measures one thing and prints its table.

From the folder of the repository: `python -m bench.studies.NAME --help`.
"""
