//! Firmware descriptors, the pflash pair, and the life of a variable store.
