"""Rewrites Keras models so that XNNPACK runs them sparse: a model's config is changed, its weights never are."""
