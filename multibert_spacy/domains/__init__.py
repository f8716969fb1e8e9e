"""What a user does with a pipeline's domains: add, remove, rename, share."""
