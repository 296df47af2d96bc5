//! PCI: the tree of buses, what each offers, what each device asks, and who gets which slot.

mod assign;
mod bus;
mod bus_set;
mod connect;
mod fixed;
mod kinds;
mod refuse;
mod requests;
mod settings;

pub(crate) use assign::assign;
