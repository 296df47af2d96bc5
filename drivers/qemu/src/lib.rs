//! The QEMU driver: domain XML to argv, QMP, lifecycle.
