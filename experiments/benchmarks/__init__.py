"""What the benchmark measures: a section a file."""
