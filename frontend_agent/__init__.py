"""The front-end machine (前置机): extract, normalise, check, render, spool, push, acknowledge."""

__version__ = "0.1.0"
