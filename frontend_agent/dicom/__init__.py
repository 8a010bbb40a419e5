"""DICOM as bytes: what agent and platform both need of it, without building a data set (PS3.5, PS3.7, PS3.8, PS3.10).

    uids        what a UID may look like; the transfer syntaxes we know
    elements    a walk over an encoded data set: tag, VR, where its value lies
    part10      our file form: one and the same bytes for the same instance, whoever received it
    header      what we know of an instance, read from its elements
    nesting     sequences and their items; value representations by the dictionary
    rewriting   elements changed, everything else copied from where it lies
    pdus         the frames of the upper layer; commands, negotiation, commitment: what travels in them
    association  the socket of an association that others opened
    serving      associations that others open, served: the agent's inlet and the platform's port

Instances are moved as bytes: nothing here decodes pixels, and what is not changed is never written anew.
"""
