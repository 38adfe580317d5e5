"""The version of jaxsamp, which is stored in the files it writes."""

VERSION = "0.1.0"
