"""Images in the agent: from the PACS to the region, complete and provably stored.

    arrive ─▶ collect ─▶ align and check ─▶ send ─▶ prove ─▶ retire
    Instance  Study       Order, Finding      ImageDelivery

A study is the unit of everything that is decided; an instance is the unit of what is moved. Nothing here decodes pixels.
"""
