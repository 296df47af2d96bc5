//! What a driver may do: manifest, operator policy and tenant, intersected. Pure.
