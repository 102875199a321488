"""Why a build failed, in the compiler's words."""

from galaxy.build.verdict import disk_was_full, reason_of
from galaxy.host.errors import CommandError, CommandTimeoutError

FAILED = CommandError(("unshare",), 1, "")


def reason(tmp_path, text):
    log = tmp_path / "build.log"
    log.write_text(text)
    return reason_of(log, FAILED)


def test_the_compilers_first_errors_are_shown_not_wafs_last_words(tmp_path):
    text = reason(
        tmp_path,
        "[ 12/4823] Compiling source3/smbd/open.c\n"
        "../../source3/smbd/open.c:41:2: warning: unused\n"
        "../../source3/smbd/open.c:42:10: fatal error: gone.h: No such file or directory\n"
        "Waf: Leaving directory `/build/samba/bin/default'\n"
        "Build failed\n"
        " -> task in 'smbd_base.objlist' failed with exit status 1\n",
    )
    assert "open.c:42:10: fatal error: gone.h" in text
    assert "warning" not in text
    assert "exit status" not in text


def test_a_full_disk_is_found_behind_whatever_the_compiler_says(tmp_path):
    log = tmp_path / "build.log"
    log.write_text("error: could not write\n/build/x.s: No space left on device\n")
    assert disk_was_full(log)
    log.write_text("error: could not write\n")
    assert not disk_was_full(log)


def test_a_linker_is_quoted(tmp_path):
    assert "undefined reference to `talloc'" in reason(
        tmp_path, "x\nfoo.o: undefined reference to `talloc'\n"
    )


def test_configures_complaint_is_found(tmp_path):
    text = reason(tmp_path, "Checking for gnutls : not found\nERROR: gnutls is needed\n")
    assert "gnutls is needed" in text


def test_without_a_known_cause_the_last_lines_are_shown(tmp_path):
    assert reason(tmp_path, "one\ntwo\nsomething odd\n").strip().splitlines()[-1].strip() == "something odd"


def test_a_build_that_takes_too_long_says_so(tmp_path):
    late = CommandTimeoutError(("unshare",), 60, "")
    assert "did not end within 60 s" in reason_of(tmp_path / "none.log", late)


def test_what_the_idl_compiler_skips_is_not_the_cause(tmp_path):
    text = reason(
        tmp_path,
        "librpc/idl/auth.idl:154: error: Unable to determine origin of type\n"
        "../../lib/util/util.c:7:3: error: unknown type name 'foo'\n",
    )
    assert "util.c:7:3" in text
    assert "auth.idl" not in text


def test_a_build_that_was_killed_says_by_what(tmp_path):
    log = tmp_path / "build.log"
    log.write_text("[ 12/4823] Compiling source3/smbd/open.c\n")
    assert "ended by signal 9" in reason_of(log, CommandError(("unshare",), 137, ""))
