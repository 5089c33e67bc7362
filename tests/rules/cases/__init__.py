"""One module for each rule, named like the rule's: `PAIRS` of models with and without its problem."""
