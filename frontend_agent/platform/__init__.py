"""The receiving platform: takes parcels, stores them durably before it answers, shows the documents.

It shares the model, the formats, the checks and the wire with the agent, and imports nothing else of it.
"""
