"""What commands show: the console, progress, plots, and figures as tables."""
