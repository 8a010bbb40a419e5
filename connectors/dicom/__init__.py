"""DICOM over the network: whoever sends to us (listener), and whom we ask and send to (requesting)."""
