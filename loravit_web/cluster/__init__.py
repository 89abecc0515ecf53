"""Workers and replicas on a Ray cluster.

Only the shell and the opening of the web app import this package, and only its functions import Ray.
"""
