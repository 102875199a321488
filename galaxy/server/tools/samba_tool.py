"""Put before a script for an image's own Python (script.py)."""


def samba_tool(*words):
    """Do what samba-tool does with these words, in this process; its exit code, 0 or None for success."""
    from samba.netcmd import main

    if hasattr(main, "samba_tool"):  # since 4.19
        return main.samba_tool(*words)
    command = main.cmd_sambatool()
    try:
        return command._run("samba-tool", *words)  # noqa: SLF001 - as samba-tool itself did
    except SystemExit as end:
        return end.code
    except Exception as error:
        command.show_command_error(error)
        return 1
