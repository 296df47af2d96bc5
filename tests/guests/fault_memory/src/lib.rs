//! A driver that misbehaves on purpose: memory.
