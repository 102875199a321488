"""Images: what a release needs to run, sealed, catalogued, mounted and carried between hosts."""
