"""The audit: from the files of a registry to findings, rows and verdicts.

One folder at a time (`inspection`), by what is asked (`question`) and the rules (`rules`), in parallel and cached
(`batch`, `cache`), gathered into one report (`audit`, `outcome`).
"""
