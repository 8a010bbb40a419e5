"""Inlets that ask: every so often, page by page, from where they got to.

    question ─▶ calling (HTTP) ─▶ answers (rows of an answer) ─▶ rounds (pages, marks) ─▶ fetcher (a thread, keep)

`calling` opens the connection, `credentials` shows who asks, `templates` fills in what is asked. `answers` and `rounds` are
pure. What differs between SOAP, REST and FHIR is an `Asker`: one class with `pages` and `probe`.
"""
