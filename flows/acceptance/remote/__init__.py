"""What runs on the federation's machines: the standard library alone, shipped over SSH per call.

A function here takes and returns plain JSON values. It reads secrets where they lie, uses them and
returns none of them; it is bounded in time and cleans up after itself.
"""
