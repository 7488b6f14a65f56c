"""What CI systems read: JUnit XML, Markdown, SARIF, annotations, and GitLab's code quality."""
