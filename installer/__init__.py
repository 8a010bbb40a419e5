"""Makes what a hospital installs: one folder with interpreter, libraries and program, and the files that carry it.

    inputs     what is fetched once, while there is a network: Debian's interpreter and libraries, the locked wheels
    runtime    an interpreter with every library that it or a wheel needs, taken out of Debian's packages
    tree       the whole program as it lies in /opt/frontend-agent/versions/VERSION
    sbom       what it is made of, as CycloneDX
    carriers   .deb, .rpm and .tar.zst of it, each signed

No part of it runs in a hospital but what lies in `files/`. `frontend_agent/program.py` reads what is written here.
"""
