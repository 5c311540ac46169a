"""Export of students."""
