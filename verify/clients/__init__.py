"""Thin sessions with a target: each speaks one protocol the way a real client does."""
