"""`make bench`: what a suite of runbooks costs with opslib and with stock papermill, in one run.

`suite` says what is run, `ways` how; `outputs` holds every notebook against the one that stock papermill
made, because a way that loses a plot is quick too. `single`, `scaling` and `kernels` measure one command,
growing suites and the memory of kernels; `report` and `targets` say what came of it.
"""
