"""What a model is: its shape, its files, the names of its weights. Free of torch and numpy."""
