//! What holds for every completion.
