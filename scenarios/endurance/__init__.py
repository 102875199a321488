"""The proof that nothing is lost when something is interrupted: galaxy killed, a server's power cut, a disk full.

`python -m scenarios.endurance --help`. It makes a store and a server of its own and takes both away again.
"""
