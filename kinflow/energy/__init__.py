"""What a body costs given what was seen of it: terms, their Jacobians, part matching."""
