"""What a running program does, in a handful of events: nothing of its results, its generators or its objects changes."""
