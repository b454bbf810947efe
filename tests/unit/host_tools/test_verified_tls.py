"""TLS on the board is verified, always: read from the sources as Python reads them.

One function makes the context, one place wraps a socket in it, and no name that could turn
verification off, or another way to TLS, is written anywhere in `firmware/` or `boards/`.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAKER = ROOT / "firmware" / "system" / "tls.py"
WRAPPER = ROOT / "firmware" / "system" / "opening.py"
# What would make a context lenient, or make one in another way
FORBIDDEN = {
    "CERT_NONE",
    "CERT_OPTIONAL",
    "check_hostname",
    "create_default_context",
    "_create_unverified_context",
    "_create_default_https_context",
}
MODULES = {"ssl", "ussl", "tls", "asyncio.ssl"}


def sources() -> list[Path]:
    found = [path for room in ("firmware", "boards") for path in (ROOT / room).rglob("*.py")]
    assert len(found) > 50
    return found


def names(tree: ast.AST) -> list[str]:
    """Every name that is written: of things, of their parts, of arguments, and as a text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, (ast.keyword, ast.arg)) and node.arg:
            found.append(node.arg)
        elif isinstance(node, ast.alias):
            found.append(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def faults(tree: ast.Module, is_maker: bool = False, is_wrapper: bool = False) -> set[str]:
    """What this module must not have, as names."""
    found = names(tree)
    wrong = FORBIDDEN.intersection(found)
    expected = {"SSLContext": int(is_maker), "verify_mode": int(is_maker)}
    expected.update(wrap_socket=int(is_wrapper), set_ciphers=0, PROTOCOL_TLS_SERVER=0)
    wrong.update(name for name, count in expected.items() if found.count(name) != count)
    if not is_maker:
        wrong.update(MODULES & imported(tree))
    return wrong


def imported(tree: ast.Module) -> set[str]:
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            words.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            words.add(node.module)
    return words


def function(path: Path, name: str) -> ast.FunctionDef:
    (found,) = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    return found


def test_one_module_makes_contexts_one_wraps_and_none_can_be_lenient() -> None:
    for path in sources():
        wrong = faults(ast.parse(path.read_text()), path == MAKER, path == WRAPPER)
        assert not wrong, f"{path}: {wrong}"


def test_the_function_that_makes_it_has_no_switch() -> None:
    maker = function(MAKER, "make_context")
    # Whom to trust, and who we are
    assert [each.arg for each in maker.args.args] == ["roots_der", "certificate", "key"]
    assert not (maker.args.kwonlyargs or maker.args.vararg or maker.args.kwarg)
    # At the top of the function: under no condition
    lines = [ast.unparse(statement) for statement in maker.body]
    made = lines.index("context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)")
    assert lines[made + 1] == "context.verify_mode = ssl.CERT_REQUIRED"
    assert lines[-1] == "return context"
    returns = [node for node in ast.walk(maker) if isinstance(node, ast.Return)]
    assert len(returns) == 1


def test_whoever_wraps_names_the_server() -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(WRAPPER.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "wrap_socket"
    ]
    (keywords,) = ({each.arg: ast.unparse(each.value) for each in call.keywords} for call in calls)
    assert keywords["server_hostname"] == "self._peer[0]"


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ("context.verify_mode = ssl.CERT_NONE", "CERT_NONE"),
        ("context.verify_mode = 0", "verify_mode"),
        ("setattr(context, 'verify_mode', 0)", "verify_mode"),
        ("context.check_hostname = False", "check_hostname"),
        ("import ssl\nmade = ssl.SSLContext(1)", "SSLContext"),
        ("from ssl import SSLContext as Harmless", "SSLContext"),
        ("getattr(ssl, 'CERT_NONE')", "CERT_NONE"),
        ("import ssl\nplain = ssl.wrap_socket(plain)", "wrap_socket"),
        ("import tls", "tls"),
        ("def f():\n    from ussl import wrap_socket", "ussl"),
        ("make = ssl._create_unverified_context", "_create_unverified_context"),
    ],
)
def test_a_planted_way_around_is_found(planted: str, named: str) -> None:
    assert named in faults(ast.parse(planted))
