"""Counts of almost-orthogonal vectors: bounds from both sides for any dimension and angle, with certificates.

Lines: unit vectors with |<x, y>| <= c for any two, L(n, c) of them at most. A code: <x, y> <= s, A(n, s) of them at most.
"""
