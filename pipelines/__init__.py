"""The entry points of MLproject: one module each, with the same parameters."""
