"""xnnlint.xnnpack: a static model of what the XNNPACK delegate does with a graph."""
