"""The care of models: shadows, promotion and rollback, and a watch for drift."""
