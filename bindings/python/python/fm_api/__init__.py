"""Fault management for services: raise, clear and look up alarms on this node.

``from fm_api import fm_api, constants`` is how callers import it. Importing the package alone loads
neither, so that ``constants`` is there without the extension module.
"""
