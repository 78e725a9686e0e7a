"""Certificates: what a specification, or a pair of them, was found to do, in bytes that can be checked later."""
