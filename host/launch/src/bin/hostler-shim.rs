//! The per-domain shim; everything is in the library.

fn main() {}
