"""People of the region who come to the platform's pages over the network: who they are, what each may see, how they log in.

    registry.py   accounts and tries, in a file of their own beside the platform's
    door.py       the login, and every page behind it

On this machine's loopback the pages need no login, as before: whoever has an account there is trusted with them.
"""
