"""Assertions outside of test files explain themselves, too."""

import pytest

pytest.register_assert_rewrite("tests.clients.runner", "tests.clients.scenarios")
