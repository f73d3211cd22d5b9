"""What a plugin imports: serve() and the types of its handlers."""
