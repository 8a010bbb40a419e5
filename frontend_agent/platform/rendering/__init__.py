"""Pictures of instances for people (PS3.18 §8.3.5, §10.4): windowed, scaled, as JPEG or PNG. Decoded in a confined child process only."""
