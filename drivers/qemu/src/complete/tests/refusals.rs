//! What cannot be is refused.
