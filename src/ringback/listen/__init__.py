"""`ringback listen`: a receiver for this machine that shows, verifies and keeps, or misbehaves."""
