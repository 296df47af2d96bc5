//! End-to-end and conformance tests, one binary.
