"""The gate as a test: the newest run of this repository, judged again."""


def test_the_model_ships(edgekit_report):
    edgekit_report.assert_passed()  # what is red is the message
    assert edgekit_report.candidate("linux-x86_64").bytes < 30_000
    # The lower end of its interval.
    assert edgekit_report.metric("accuracy", "linux-x86_64").low > 0.95
