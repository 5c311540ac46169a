"""Use of a student: files, pictures, videos, a page."""
