"""Pure: facts in, plan out. Imports `model` alone."""
