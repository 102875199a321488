"""One domain controller: configuration, provision, sandbox, network, lifecycle, readiness."""
