"""What stands before a paid call: budget, ledger, rate limit, breaker, retry.

What belongs here: whether a call may be made, and what became of it. What does not: who is
called, and what is said (`services`). The walk of a paid call is `calls.Guard.call`.
"""
