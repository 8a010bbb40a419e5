"""The local console: a web page of one agent. A process of its own, which asks the daemon what the command line asks.

    browser ──HTTP──▶ console (this package) ──control socket──▶ daemon

It keeps nothing: who is logged in is known to the daemon, by a token that the browser holds. It opens no spool, so nothing
that goes wrong here touches the pipe; it decides nothing, so what a role may not do is refused by the daemon.
"""
