"""What a training minimises. One file for each objective, and one for the anchors that any of them takes."""
