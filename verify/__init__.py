"""The checks: black-box assertions by real clients against any Active Directory domain controller."""
