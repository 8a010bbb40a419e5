"""Files of others: in a folder (also one that is mounted), or on an SFTP server.

place       a small file system: what both can do, and how names are shown
local       a folder of this machine, also a mounted share (SMB, NFS)
sftp        a folder behind SFTP, the server's key pinned
collecting  what is picked up: whole, in order, never twice, moved when it is kept
unpacking   a file as messages: zip, HL7 batches, MLLP frames, one document
inlet       both together: files as an inlet
"""
