"""Contract tests for what third parties add: subclass one, give its fixtures, run pytest.

    from edgekit.contracts.runner import RunnerContract

    class TestMyRunner(RunnerContract):
        runner_file = Path("my_runner.py")
        runtime = "my-runtime"

Needs pytest.
"""

import pytest

# Before they are imported: a failing assertion then shows its values, as in a test file.
pytest.register_assert_rewrite(
    "edgekit.contracts.runner", "edgekit.contracts.scheme", "edgekit.contracts.target"
)
