"""Audits: does the short training of a search rank networks as a long training does?"""
