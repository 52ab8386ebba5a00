"""Supernets."""
