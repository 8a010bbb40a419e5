"""The platform's images: instances as files, an index over them, DICOMweb and the DICOM port in front.

blobs.py       where the files lie: a folder; objects.py: S3
arriving.py    one instance on its way in
store.py       taking instances: file synced and placed, then committed, then answered; rows.py: its statements
catalogue.py   reading the index: studies, series, instances
stow.py        STOW-RS; qido.py QIDO-RS; accepting.py, retrieving.py WADO-RS; api.py all endpoints
listener.py    the DICOM port
"""
