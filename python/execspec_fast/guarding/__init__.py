"""The guard: what watches a policy while it runs."""
