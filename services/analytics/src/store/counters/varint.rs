//! Numbers of variable length: 7 bits in a byte, the lowest first; the top bit says that more follows.

use super::page::Unreadable;

/// Appends a number.
pub(super) fn write(mut number: u128, to: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return to.push(low);
        }
        to.push(low | 0x80);
    }
}

/// Takes a number of at most `bits` bits, a few more if they fit into its last byte.
pub(super) fn read(bytes: &mut &[u8], bits: u32) -> Result<u128, Unreadable> {
    let (&first, mut rest) = bytes.split_first().ok_or(Unreadable)?;
    let mut number = u128::from(first & 0x7f);
    let mut shift = 7;
    let mut last = first;
    while last & 0x80 != 0 {
        (last, rest) = rest
            .split_first()
            .map(|(byte, rest)| (*byte, rest))
            .ok_or(Unreadable)?;
        if shift >= bits {
            return Err(Unreadable);
        }
        number |= u128::from(last & 0x7f) << shift;
        shift += 7;
    }
    *bytes = rest;
    Ok(number)
}
