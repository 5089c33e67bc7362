"""The page that `xnnlint report` writes, and the picture of a graph that other formats show, too."""
