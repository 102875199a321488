"""The gate: results of a verify run, the policy they are held against, and the certificate that says so."""
