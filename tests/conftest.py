"""Shape annotations of the numerical core are enforced while tests run; hypothesis is deterministic."""

import hypothesis
import jaxtyping
import pytest

jaxtyping.install_import_hook(["tegum.theory._descent"], "beartype.beartype")

hypothesis.settings.register_profile("tegum", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("tegum")


@pytest.fixture(scope="session")
def lab():
    """Theory and the recorded trained models."""
    from tegum.papers._lab import Lab

    return Lab("fast")
