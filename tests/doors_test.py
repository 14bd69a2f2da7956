"""No module knows an objective but by what it declares."""

import ast
from pathlib import Path

import pytest

import ae_jax
from ae_jax.objectives import OBJECTIVES

PACKAGE = Path(ae_jax.__file__).parent
FILES = [
  path
  for path in sorted(PACKAGE.rglob("*.py"))
  if PACKAGE / "objectives" not in path.parents
]
# The default of a setting, the builder of models that has the name of one, and
# a config that sweeps some of them.
CHOICES = {
  "settings.py": {"autoencoder"},
  "__init__.py": {"autoencoder"},
  "networks/__init__.py": {"autoencoder"},
  "cli/digits.py": {*OBJECTIVES},
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_module_names_an_objective_or_reads_its_parameters(path):
  relative = path.relative_to(PACKAGE).as_posix()
  for node in ast.walk(ast.parse(path.read_text())):
    match node:
      case ast.ImportFrom(module=str(module)):
        assert not module.startswith("ae_jax.objectives."), module
      case ast.Constant(value=str(value)) if value in OBJECTIVES:
        assert value in CHOICES.get(relative, ()), (node.lineno, value)
      case ast.Subscript(value=of, slice=ast.Constant(value="objective")):
        assert "params" not in ast.unparse(of), node.lineno
      case ast.Call(
        func=ast.Attribute(value=of, attr="get"),
        args=[ast.Constant(value="objective"), *_],
      ):
        assert "params" not in ast.unparse(of), node.lineno
