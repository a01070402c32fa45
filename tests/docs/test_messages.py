"""docs/troubleshooting.md has every error of the package that a user can see, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pages import DOCS

import inngest_serverless

PACKAGE = Path(inngest_serverless.__file__).parent
PAGE = DOCS / "troubleshooting.md"
# Who is told of these is a program or this package itself; the command line shows its help instead.
FOR_PROGRAMS = {"LambdaInvocationError", "RefusedError", "StepError"}
# Functions that make a reply of a message, and which of their arguments it is.
REPLIES = {"Failure": 1, "error_reply": 2, "_not_synced": 0}
# A row that says less would fit anything, and a message that does is put before another one: "step ...: ...".
_LEAST = 12
_HOLE = "\0"


def _trees():
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _errors(trees):
    """The names of all classes that InngestError is a base of, and of the one that ends a call whose time is up."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"InngestError", "DeadlineExceeded"}
    while more := {name for name, own in bases.items() if own & found} - found:
        found |= more
    return found - FOR_PROGRAMS


def messages_of(trees):
    """Every message in the source, with a hole for each part that is not known before; and where it stands."""
    places = dict.fromkeys(_errors(trees.values()), 0) | REPLIES
    found = set()
    for path, tree in trees.items():
        for function in _functions(tree):
            for call in ast.walk(function):
                if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                    continue
                place = places.get(call.func.id)
                if place is not None and len(call.args) > place:
                    where = f"{path.relative_to(PACKAGE).as_posix()}:{call.lineno}"
                    found |= {(text, where) for text in _texts(call.args[place], function) if _says_enough(text)}
    return sorted(found)


def _functions(node):
    """The functions of a module and the methods of its classes; what is inside them belongs to them."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inner
        elif not isinstance(inner, ast.expr):
            yield from _functions(inner)


def _says_enough(text):
    return len(text.replace(_HOLE, "")) >= _LEAST


def _texts(node, function):
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(part.value if isinstance(part, ast.Constant) else _HOLE for part in parts)]
        case ast.IfExp(body=body, orelse=other):
            return _texts(body, function) + _texts(other, function)
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            return [first + last for first in _texts(left, function) for last in _texts(right, function)]
        case ast.Name(id=name):
            given = [
                value
                for value in ast.walk(function)
                if isinstance(value, ast.Assign)
                and any(getattr(target, "id", None) == name for target in value.targets)
            ]
            return [text for value in given for text in _texts(value.value, function)] or [_HOLE]
    return [_HOLE]


def rows_of(page):
    """The messages on the page: the first cells of the tables whose head is "message"."""
    rows, inside = [], False
    for line in page.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith("| message |"):
            inside = True
        elif inside and (cell := re.match(r"\| (`+)(.+?)\1 \|", line)):
            rows.append(cell[2].replace("\\|", "|").strip())
    return rows


def _pattern(row):
    return re.compile(".*".join(re.escape(part) for part in row.split("…")), re.DOTALL)


@pytest.fixture(scope="module")
def messages():
    return messages_of(_trees())


@pytest.fixture(scope="module")
def rows():
    return rows_of(PAGE.read_text("utf-8"))


def test_every_message_is_on_the_page(messages, rows):
    patterns = [_pattern(row) for row in rows]
    missing = [
        f"{where}: {text.replace(_HOLE, '…')}"
        for text, where in messages
        if not any(pattern.fullmatch(text) for pattern in patterns)
    ]
    assert not missing, "\n".join(["tell in docs/troubleshooting.md what happened and what to do:", *missing])


def test_every_row_is_about_a_message(messages, rows):
    vague = [row for row in rows if not _says_enough(row.replace("…", _HOLE))]
    assert not vague, f"these would fit other messages, too, say more of them: {vague}"
    stale = [row for row in rows if not any(_pattern(row).fullmatch(text) for text, _ in messages)]
    assert not stale, "\n".join(["no error says these any more, take them out:", *stale])
    assert len(rows) > 150, "the reader finds no rows any more"


def test_every_row_says_what_it_means(rows):
    page = PAGE.read_text("utf-8")
    silent = [row for row in rows if re.search(rf"`{re.escape(row)}` \| *\|", page)]
    assert not silent, f"say what happened and what to do: {silent}"


def test_every_row_says_where_to_read_on():
    """Each section with messages leads to the page that explains what they are about."""
    for section in re.split(r"(?m)^## ", PAGE.read_text("utf-8"))[1:]:
        if "| message |" in section:
            title = section.partition("\n")[0]
            assert re.search(r"\]\((?!http)[\w/-]+\.md", section), f"the section {title!r} links to no page"


def test_the_reader_sees_messages_of_all_kinds():
    source = """
class OwnError(InngestError): ...
def a(x):
    message = f"the first one: {x}" if x else "the second" + " and third"
    raise OwnError(message)
def b():
    return error_reply(500, "Name", "the fourth {}")
def c():
    raise ValueError("this is not ours")
def d():
    raise OwnError(f"in {x}: {y}")
"""
    found = messages_of({PACKAGE / "sample.py": ast.parse(source)})
    assert [text for text, _ in found] == ["the first one: \0", "the fourth {}", "the second and third"]


def test_the_reader_sees_rows():
    page = "| message | x |\n| --- | --- |\n| `a … b` | c |\n| ``d `e` `` | f |\n\n| other | x |\n| `g` | h |\n"
    assert rows_of(page) == ["a … b", "d `e`"]
