//! The storage-chain core against real files: images made by qemu-img, and the shared corpora.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod qemu_img;
