"""One owner a folder or file: who writes there holds a lock that no dead process leaves behind.

Knows no other room and imports nothing that takes long, so that a launcher asks before anything else.
"""
