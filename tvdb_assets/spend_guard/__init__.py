"""The spend guard of paid calls: budget, ledger, rate limit, breaker, retry.

What belongs here: whether a call may be made, and how it ended. What does not: the services that
are called (`embedding`, `parsing`). The steps of a paid call are in `guard.Guard.call`.
"""
