"""What an audit reads, and what it writes."""
