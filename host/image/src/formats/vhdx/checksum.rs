//! CRC-32C, the checksum of headers and tables.

/// The polynomial of Castagnoli, lowest bit first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// What each byte contributes.
static TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
const fn table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut index = 0_u32;
    while index < 256 {
        let (mut sum, mut bit) = (index, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        table[index as usize] = sum;
        index += 1;
    }
    table
}

/// Whether a structure carries the sum of all its bytes, with zeros in the place of the sum itself.
pub(super) fn is_right(structure: &[u8], sum_at: usize) -> bool {
    let Some((before, rest)) = structure.split_at_checked(sum_at) else { return false };
    let Some((sum, after)) = rest.split_at_checked(4) else { return false };
    sum == crc32c([before, &[0; 4], after]).to_le_bytes()
}

fn crc32c(parts: [&[u8]; 3]) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(u32::MAX, |sum, byte| {
        let [lowest, ..] = sum.to_le_bytes();
        let step = TABLE.get(usize::from(lowest ^ *byte)).copied().unwrap_or_default();
        sum >> 8 ^ step
    })
}

/// Puts the sum right, for images that tests make.
#[cfg(test)]
pub(super) fn put(structure: &mut [u8], sum_at: usize) {
    structure[sum_at..sum_at + 4].fill(0);
    let sum = crc32c([structure, &[], &[]]);
    structure[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_standard_one() {
        assert_eq!(crc32c([b"123", b"456", b"789"]), 0xE306_9283);
        let mut structure = *b"head....rest";
        assert!(!is_right(&structure, 4));
        put(&mut structure, 4);
        assert!(is_right(&structure, 4) && !is_right(&structure, 9));
    }
}
