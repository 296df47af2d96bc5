//! What a driver author depends on: bindings, typed domain, errors, the main macro.
