"""From what a learning platform gives an instructor to `gradebook/submitted`: archives, names of files, the list of the class."""
