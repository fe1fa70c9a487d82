"""How many trainings does each algorithm need to find the front?"""
