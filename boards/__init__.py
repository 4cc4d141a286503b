"""Board targets, host link and host driver."""
