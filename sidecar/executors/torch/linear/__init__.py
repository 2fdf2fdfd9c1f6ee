"""Matrices and how they are multiplied: one file for each way to store weights."""
