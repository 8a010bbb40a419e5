"""DICOMweb (PS3.18): studies stored elsewhere by STOW-RS, and counted there by QIDO-RS."""
