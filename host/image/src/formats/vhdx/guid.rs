//! Identifiers as they stand in the image: the first three parts lowest byte first.

/// An identifier of 16 bytes.
pub(super) type Guid = [u8; 16];

/// The bytes of `first-second-third-rest`, as identifiers are written in text.
pub(super) const fn guid(first: u32, second: u16, third: u16, rest: u64) -> Guid {
    let (a, b, c, d) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes(), rest.to_be_bytes());
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) = (a, b, c);
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d;
    [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_parts_are_swapped() {
        let bytes = guid(0x0011_2233, 0x4455, 0x6677, 0x8899_AABB_CCDD_EEFF);
        assert_eq!(bytes[..8], [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66]);
        assert_eq!(bytes[8..], [0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF]);
    }
}
