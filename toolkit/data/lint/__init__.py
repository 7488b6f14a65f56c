"""What is wrong with the data that calibrates or judges, before it costs accuracy."""
