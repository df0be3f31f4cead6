"""What a browser asks: jobs over HTTP, a page, and processes that do the work."""
