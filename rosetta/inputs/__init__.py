"""Items as an encoder sees them: opened, matched by feature, preprocessed, in memory or streamed, with their labels."""
