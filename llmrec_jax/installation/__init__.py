"""What is installed here, held against what this library was tested with, without importing any of it."""
