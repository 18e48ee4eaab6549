"""Other projects' databases and services, for those who have them; and what
rooms do together that are strangers to each other."""
