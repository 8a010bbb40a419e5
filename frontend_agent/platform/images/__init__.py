"""The platform's images: instances as files, an index over them, DICOMweb and the DICOM port in front.

blobs.py       where the files lie: a folder, or S3
catalogue.py   reading the index: studies, series, instances
store.py       taking instances: file synced and placed, then committed, then answered
"""
