"""Finished runs of one corpus side by side: paired over users, seeds put together, cost beside quality."""
