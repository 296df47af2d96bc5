//! The component sandbox: engine, cache, limits, and the host interfaces.
