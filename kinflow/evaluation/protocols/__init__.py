"""Protocols of the field as code: what is compared with what, and tables that refuse to mix two."""
