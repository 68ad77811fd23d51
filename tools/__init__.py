"""What people who work on Resift run by hand: `python -m tools.NAME`."""

import rag  # noqa: F401 - before what a tool imports: it tells libraries not to report to their makers
