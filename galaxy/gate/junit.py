"""Results as JUnit has them: a suite a cell, a case an item."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from galaxy.gate.results import ItemResult, Outcome
from galaxy.host.files import write_atomic

JUNIT_FILE = "junit.xml"
# Characters that XML 1.0 cannot hold, whatever their form.
_ILLEGAL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])
_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.BLOCKED: "error",
    Outcome.KNOWN: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
}


def write_junit(folder: Path, items: Iterable[ItemResult]) -> Path:
    """Write junit.xml: failed items are failures, blocked ones errors, known and not applicable ones skipped."""
    root = ET.Element("testsuites")
    ordered = sorted(items, key=lambda item: item.cell)
    for cell, group in groupby(ordered, key=lambda item: item.cell):
        root.append(_suite(cell, tuple(group)))
    text = ET.tostring(root, encoding="unicode", xml_declaration=True)
    write_atomic(folder / JUNIT_FILE, text + "\n")
    return folder / JUNIT_FILE


def _suite(cell: str, items: tuple[ItemResult, ...]) -> ET.Element:
    tags = [_TAGS.get(item.outcome, "") for item in items]
    suite = ET.Element(
        "testsuite",
        name=cell,
        tests=str(len(items)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{sum(item.seconds for item in items):.3f}",
    )
    suite.extend(_case(item) for item in items)
    return suite


def _case(item: ItemResult) -> ET.Element:
    where = f"{item.cell}.{item.checkpoint}"
    case = ET.Element("testcase", classname=where, name=item.id, time=f"{item.seconds:.3f}")
    if tag := _TAGS.get(item.outcome):
        message = f"{item.outcome.value}: {item.message}".translate(_ILLEGAL)
        ET.SubElement(case, tag, message=message)
    return case
