"""This machine: processes, the store, settings, errors, the journal, locks, progress, doctor."""
