"""Other projects' databases and services, for those who have them."""
