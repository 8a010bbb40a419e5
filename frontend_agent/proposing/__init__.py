"""Proposing a mapping: which table and column of a hospital's system is which field of a kind, and why.

Pure: schema and samples in, proposals with their evidence in words out. A proposal is no decision.
"""
