"""The same three nets in every framework, behind a backend and called by hand."""
