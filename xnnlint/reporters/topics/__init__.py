"""What `xnnlint explain` knows besides rules: the four outcomes, recipes, and what XNNPACK does with each operator.

What is said of operators is asked of the code that forecasts: the delegate's own conditions, and plans of small models
for every runtime.
"""
