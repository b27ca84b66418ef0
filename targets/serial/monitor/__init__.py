"""Boards that carry this project's monitor firmware: NPU operators run there, all others on the host."""
