"""The documents are true where a test can tell: links, commands, paths, settings, codes, and the contract's words."""

import re
import shlex
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner

from admin_tui.targets import KEY_VARIABLE
from cells import failpoints, settings
from cells.cli.main import COMMANDS, find
from cells.kernel.errors import CODES
from cells.process import ROLES
from cells.settings import HOME
from realtime.channels import CHANNELS
from realtime.codes import CloseCode
from realtime.protocol import COMMANDS as FRAMES

DOCUMENTS = sorted([*HOME.glob("*.md"), *(HOME / "docs").glob("*.md")])
PROCESSES = ("nats", "valkey", "postgres", *ROLES)
LONGEST = 150

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITAN = re.compile(r"(?:\./|`)titan ([^`#|&\n]*)")
PATH = re.compile(r"`((?:admin_tui|cells(?!/c1)|server|realtime|fixtures|tests)/[\w./]*)`")
# Forwarded to pytest, whose options are not ours to know.
FORWARDS = "test"


def read(name: str) -> str:
    return (HOME / name).read_text(encoding="utf-8")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(HOME)) for path in paths]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(text: str) -> list[list[str]]:
    """The cells of all tables' rows."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("name", names(DOCUMENTS))
def test_links_lead_somewhere(name):
    document = HOME / name
    lost = []
    for target in LINK.findall(FENCE.sub("", read(name))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        to = (document.parent / path).resolve() if path else document
        if not to.exists() or (anchor and anchor not in anchors(to)):
            lost.append(target)

    assert lost == []


@pytest.mark.parametrize("name", names(DOCUMENTS))
def test_paths_that_are_named_exist(name):
    named = {path for path in PATH.findall(read(name)) if not (HOME / path).exists()}

    assert named == set()


def commands(name: str) -> list[str]:
    """What comes behind `titan` in a document, wherever it is said."""
    return sorted({found.strip() for found in TITAN.findall(read(name)) if found.strip()})


def understood(words: list[str]) -> str:
    """Walk from command to sub-command and through its options; what is not understood, or nothing."""
    name, *rest = words
    if name not in COMMANDS:
        return f"there is no command {name}"
    command = find(name)
    while isinstance(command, click.Group) and rest:
        sub, *rest = rest
        if sub not in command.commands:
            return f"{name} has no {sub}"
        command = command.commands[sub]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    if name == FORWARDS:
        return ""
    unknown = [word for word in rest if word.startswith("-") and word not in options]
    return f"{name} has no {unknown}" if unknown else ""


# The changelog also names what is not there.
@pytest.mark.parametrize("name", [name for name in names(DOCUMENTS) if name != "CHANGELOG.md"])
def test_every_command_is_one_of_the_command_line(name):
    wrong = {}
    for said in commands(name):
        words = shlex.split(said.split("  ")[0])
        if fault := understood(words):
            wrong[said] = fault

    assert wrong == {}


def test_every_command_helps():
    for name in COMMANDS:
        result = CliRunner().invoke(find(name), ["--help"])
        assert result.exit_code == 0, (name, result.output)


def test_the_readme_shows_every_command_that_operates_a_cell():
    said = {line.split()[0] for line in commands("README.md")}

    assert set(COMMANDS) - {"reset"} <= said


@pytest.mark.parametrize("name", names(DOCUMENTS))
def test_python_in_documents_compiles_and_imports_what_is_there(name):
    for block in PYTHON.findall(read(name)):
        compile(block, name, "exec")
        imported = re.findall(r"^from (realtime|server|cells)([\w.]*) import (\w+)$", block, re.MULTILINE)
        for package, rest, word in imported:
            module = HOME / (package + rest).replace(".", "/")
            assert re.search(
                rf"^(class|def|async def) {word}\b", module.with_suffix(".py").read_text(), re.MULTILINE
            )


def test_the_readme_has_a_place_for_figures():
    assert re.search(
        r"<!-- figures -->\n\| what \| budget \| measured \| how \|\n.*<!-- /figures -->",
        read("README.md"),
        re.DOTALL,
    )


def test_every_setting_is_documented_and_nothing_else():
    fields = list(settings.load(environment={}, toml=HOME / "no.toml").sources)
    found = [row for row in rows(read("docs/configuration.md")) if row[0].startswith("`TITAN_")]

    assert [row[0].strip("`") for row in found] == [settings.PREFIX + field.upper() for field in fields]
    assert [row[1].strip("`") for row in found] == fields


@pytest.mark.parametrize("name", names(DOCUMENTS))
def test_every_variable_that_is_named_is_a_setting(name):
    known = {settings.PREFIX + field.upper() for field in settings.load(environment={}).sources}

    assert set(re.findall(r"TITAN_[A-Z_]+\b", read(name))) <= known | {failpoints.VARIABLE, KEY_VARIABLE}


def test_every_code_is_documented_as_it_is():
    found = {
        row[0].strip("`"): (row[1], row[2])
        for row in rows(read("docs/errors.md"))
        if row[1:2] and row[1].isdigit()
    }

    assert found == {
        code: (str(kind.status), "yes" if kind.retryable else "no") for code, kind in CODES.items()
    }


def test_every_process_of_a_cell_is_in_the_architecture_and_what_happens_when_it_dies():
    architecture = read("ARCHITECTURE.md")
    processes, deaths = (
        architecture.partition(heading)[2].partition("\n## ")[0]
        for heading in ("\n## Processes", "\n## When a process dies")
    )

    for name in (*(f"`{process}`" for process in PROCESSES), "supervisor"):
        assert name in processes, name
        assert f"| {name} |" in deaths, name


def test_every_frame_channel_and_close_code_is_documented():
    realtime = read("docs/realtime.md")
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}

    assert [name for name in FRAMES if f"`{name}`" not in realtime] == []
    assert [kind for kind in CHANNELS if f"`{kind}" not in realtime] == []
    assert [code for code in codes if not re.search(rf"\b{code}\b", realtime)] == []


def test_documents_are_short():
    lengths = {name: read(name).count("\n") for name in names(DOCUMENTS) if name.startswith("docs/")}

    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("name", names(DOCUMENTS))
def test_nothing_is_left_to_do(name):
    assert re.findall(r"\b(TODO|TBD|FIXME|XXX|not measured yet|coming soon)\b", read(name)) == []
