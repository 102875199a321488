"""Scenarios: what is done to servers while the checks look on; the engine, the matrices and the lab."""
