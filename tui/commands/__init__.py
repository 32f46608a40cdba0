"""One file a sub-command, or a group of them."""
