//! A driver that misbehaves on purpose: loop.
