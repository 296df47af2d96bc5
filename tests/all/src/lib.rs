//! End-to-end and conformance tests, one binary. See `tests/all/main.rs`.
