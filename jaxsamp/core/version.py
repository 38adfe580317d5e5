"""The version of jaxsamp, which files that it writes carry."""

VERSION = "0.1.0"
