//! Firmware as the distribution ships it.

#[cfg(test)]
mod cases;
