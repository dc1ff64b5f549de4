"""The archive as pages for a browser: a list of runs, one run, one procedure over time, two runs compared.

Nothing here writes into the archive; the server answers GET and HEAD and nothing else.
"""
