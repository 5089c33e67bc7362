"""Cases of fixes, a file for each module of them; `test_fix_cases` finds them by their tuples `CASES`."""
