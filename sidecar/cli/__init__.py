"""What a person types. Knows no wire and no engine: everything that runs is reached through the client."""
