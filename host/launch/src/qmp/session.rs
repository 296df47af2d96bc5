//! One QMP connection without its transport.
