"""Shadow senders: the sender's training and distilling repeated on other items, to know what a bundle would tell."""
