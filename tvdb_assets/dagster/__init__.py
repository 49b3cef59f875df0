"""What runs by itself: sensors and schedules.

What belongs here: when something is started. What does not: what it does (`assets`, `walk`).
"""
