"""Figure 3: how long a prefix, which rank and alpha, and what each added parameter is worth.

    python -m scripts.experiments.sweep --corpus corpus/persian --domains tweet --epochs 1
    python -m scripts.experiments.sweep --corpus corpus/persian --domains tweet --epochs 1 --parts curve

A list of trainings of one head and one adapter (`scripts.build.train pretrain`) with a small budget,
which is said in the result. Only dev scores are looked at. Three parts: `prefix`, lengths in
steps of 8 from 4, then 2 and 4 beside the best; `lora`, ranks by alphas, then neighbours of the
best; `curve`, both kinds at given shares of the core's parameters. The knee of a curve is the
smallest adapter within a tolerance of the best one of its kind.

What is done is not repeated: a setting is one run whichever part asks for it. Only scores are
kept, no weights.
"""
