"""gexcore and its peers on the same trained models, each in an environment of its own."""
