"""What the link is measured against: the board's library as a program of this machine, and a proxy between them."""
