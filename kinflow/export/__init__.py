"""Files out of a reconstruction: numbers, pictures, 3D scenes, and reading the numbers back."""
