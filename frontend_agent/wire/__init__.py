"""What travels between agent and platform, as bytes in and values out. No clock, no socket, no file, no logger."""
