"""Damaged files, made from good ones: each has to get a verdict or one clear sentence, soon and in little memory."""
