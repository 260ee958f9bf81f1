"""The signature formats of providers, one file each."""
