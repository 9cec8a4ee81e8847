"""Table 10: wrong labels found in texts, with SWEM on SentencePiece tokens."""

from bench.paper.exhibits.detection import detect

TITLE = "Table 10: wrong labels found in DBpedia"
CASES = ("DBPedia",)


def tasks(context, seed, methods):
    return detect(CASES, context, seed, methods)
