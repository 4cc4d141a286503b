"""Which integers a tensor may become: code maps, code books, ranges and scales."""
