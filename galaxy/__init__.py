"""Galaxy: build, seal, run, verify and certify Samba Active Directory domain controllers."""

__version__ = "0.1.0"
