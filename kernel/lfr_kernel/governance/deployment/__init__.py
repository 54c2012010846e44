"""Deployments: authorised, opened, watched over while they run, ended, wiped, and accounted for."""
