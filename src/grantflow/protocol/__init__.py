"""The shared language: values and pure functions for both directions of every OAuth message (RFC 6749).

Nothing here does I/O, reads a clock or draws randomness. Each message is a pair of functions side by side: one
writes it, one reads it; the integration uses the one half, the platform its mirror.
"""
