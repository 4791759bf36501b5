"""The page that a run ends with: self-contained HTML made from plain data."""
