"""Files in buckets and their copies: listed, compared, and copied from the one to the other."""
