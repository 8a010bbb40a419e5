"""Who may speak for whom: the platform's own authority, its tokens, and the certificates that it gave."""
