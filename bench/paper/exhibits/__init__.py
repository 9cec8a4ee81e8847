"""One module per exhibit.

Each has `TITLE`, `tasks(context, seed, methods)`, `body(rows)`: its tables in Markdown,
`claims(rows)`, and `draw(rows)`: its pictures by file name.
"""
