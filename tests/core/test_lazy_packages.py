"""A package that waits: its submodules are there at once, its own names when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import sys
from laureate.core.lazy_packages import From, is_waiting, make_lazy
make_lazy({"zoo": {"NAME": "told", "Cat": From("cats.house")}, "zoo.cats": {}, "missing": {}})
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A package whose __init__ imports all there is and prints that it ran."""
    files = {
        "zoo/__init__.py": "print('zoo runs')\nfrom .cats import Cat\nfrom .dogs import Dog\nNAME = 'own'",
        "zoo/cats/__init__.py": "print('cats run')\nfrom .house import Cat\nfrom .wild import Lion",
        "zoo/cats/house.py": "class Cat: pass",
        "zoo/cats/wild.py": "from ..dogs import Dog\nclass Lion: pass",
        "zoo/dogs.py": "class Dog: pass",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def printed(folder: Path, code: str) -> list[str]:
    """What a process that makes the zoo lazy and then runs `code` prints."""
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_submodule_is_imported_without_the_inits_above_it(zoo: Path) -> None:
    code = """
from zoo.cats.house import Cat
import zoo
assert zoo.Cat is Cat and zoo.NAME == "told" and zoo.cats.house.Cat is Cat
assert is_waiting(zoo) and is_waiting(zoo.cats) and "zoo.dogs" not in sys.modules
assert not is_waiting(sys) and zoo.__file__.endswith("__init__.py") and not hasattr(zoo, "__no_such__")
"""
    assert printed(zoo, code) == []


def test_a_name_that_is_not_told_runs_the_init_once(zoo: Path) -> None:
    code = """
import zoo
from zoo.cats import Lion
from zoo import Dog, Cat
assert not is_waiting(zoo) and not is_waiting(zoo.cats) and zoo.NAME == "own"
assert Dog is sys.modules["zoo.dogs"].Dog and Cat is sys.modules["zoo.cats.house"].Cat
for absent in ("Cow", "Cow"):
    try: getattr(zoo, absent)
    except AttributeError as error: print(error)
"""
    assert printed(zoo, code) == ["cats run", "zoo runs", *["module 'zoo' has no attribute 'Cow'"] * 2]


def test_an_init_that_puts_another_module_in_its_place_is_followed(zoo: Path) -> None:
    (zoo / "zoo/__init__.py").write_text(
        "import sys, types\nother = types.ModuleType('zoo')\nother.Dog = 1\nsys.modules['zoo'] = other"
    )
    assert printed(zoo, "import zoo as old\nfrom zoo import Dog\nprint(Dog, old.Dog)") == ["1 1"]


def test_what_is_not_installed_or_no_package_stays_as_it_is(zoo: Path) -> None:
    assert printed(zoo, "import importlib.util; print(importlib.util.find_spec('missing'))") == ["None"]
    (zoo / "missing.py").write_text("print('runs')")
    assert printed(zoo, "import missing") == ["runs"]
