"""Searches replayed on tables of networks that were trained before, to count the trainings that they need."""
