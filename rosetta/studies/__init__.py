"""What studies are made of: their cells, their data, what is measured, and how it is told."""
