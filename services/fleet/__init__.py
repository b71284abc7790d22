"""Fleet: how many replicas a corpus takes, on paper, from service times that were measured."""
