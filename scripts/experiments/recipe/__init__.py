"""Does the paper's recipe help? Five ways to an adapter for a domain, and two without tuning.

    python -m scripts.experiments.recipe --corpus corpus/persian --targets travel,sports,tweet
    python -m scripts.experiments.recipe --corpus corpus/persian --targets travel --ways shared,tuned,scratch

Of each target domain: the shared adapter of its head as it is; a copy of it tuned on the domain
with the head frozen (the paper's way) or free; a new adapter and head trained on the domain
alone, for as many epochs as both steps have together; and an adapter that was pre-trained on all
other domains of the head, as it is and tuned. A head always has the labels of all its domains.

Best dev checkpoints are scored on the test part; each way is compared with the paper's on the
same docs. What is done is not repeated, and its weights are deleted once a target is done.
"""
