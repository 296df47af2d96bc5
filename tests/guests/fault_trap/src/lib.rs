//! A driver that misbehaves on purpose: trap.
