//! The architecture and style rules, as tests.
