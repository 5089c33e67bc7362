"""What a model is, whatever file it came from: the graph, its weights, and how sparse ones are encoded."""
