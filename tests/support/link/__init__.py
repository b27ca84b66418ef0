"""The other end of the link: the board's library as a program of this machine, a proxy, and a fault campaign."""
