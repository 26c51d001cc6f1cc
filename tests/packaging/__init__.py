"""What is made of the program when it is packaged: man pages, completion."""
