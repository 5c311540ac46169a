"""How fast students are beside their teachers, on this machine."""
