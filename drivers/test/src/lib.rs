//! An in-memory hypervisor: the shortest complete driver.
