"""PALR as a recipe: profiles, a retriever's candidates, a text-to-text model that chooses, and its report."""
