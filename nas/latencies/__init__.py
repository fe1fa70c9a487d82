"""Latency tables: building them on a device, and measuring a front again."""
