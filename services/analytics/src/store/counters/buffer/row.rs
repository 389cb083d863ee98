//! How the clicks of a row of the buffer are stored.
//!
//! The version; the earliest time; how many owners, and their ids; then the clicks, sorted by link,
//! up to the end. Of each: the distance of its link from the one before, the owner's place, the code
//! (its length, its bytes), how much later than the earliest it was, the visitor (8 bytes, the lowest
//! first), its sort, and the numbers of its labels: of a person seven, of others the last one.
//! Numbers are of variable length where nothing else is said.

use uuid::Uuid;

use crate::store::counters::key::Sort;
use crate::store::counters::page::Unreadable;
use crate::store::counters::sources::Sources;
use crate::store::counters::varint;
use crate::store::counters::visits::Visit;

const VERSION: u8 = 1;

/// Appends visits, which are sorted by link, with their owners and codes.
pub(super) fn encode(visits: &[Visit], sources: &Sources, to: &mut Vec<u8>) {
    to.push(VERSION);
    let earliest = visits.iter().map(|visit| visit.at_ms).min().unwrap_or(0);
    // Nothing that is counted is before 1970.
    let earliest = earliest.max(0);
    varint::write(u128::from(earliest.unsigned_abs()), to);
    let mut owners: Vec<Uuid> = Vec::new();
    for visit in visits {
        let (owner, _) = sources.of(visit);
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    varint::write(owners.len() as u128, to);
    for owner in &owners {
        to.extend_from_slice(owner.as_bytes());
    }
    let mut before = 0;
    for visit in visits {
        let (owner, code) = sources.of(visit);
        varint::write(visit.link - before, to);
        before = visit.link;
        let place = owners.iter().position(|one| *one == owner).unwrap_or(0);
        varint::write(place as u128, to);
        varint::write(code.len() as u128, to);
        to.extend_from_slice(code.as_bytes());
        let later = visit.at_ms.max(0) - earliest;
        varint::write(u128::from(later.unsigned_abs()), to);
        to.extend_from_slice(&visit.visitor.to_le_bytes());
        to.push(visit.sort() as u8);
        for label in &visit.labels[first_label(visit.sort())..] {
            varint::write(u128::from(*label), to);
        }
    }
}

/// Reads a row: appends those visits whose link is `wanted`.
pub(super) fn decode(
    mut bytes: &[u8],
    wanted: impl Fn(u128) -> bool,
    visits: &mut Vec<Visit>,
    sources: &mut Sources,
) -> Result<(), Unreadable> {
    let bytes = &mut bytes;
    let (earliest, owners) = header(bytes)?;
    let mut link = 0_u128;
    while !bytes.is_empty() {
        link = link
            .checked_add(varint::read(bytes, 128)?)
            .ok_or(Unreadable)?;
        let owner = small(bytes)? as usize;
        let owner = *owners.get(owner).ok_or(Unreadable)?;
        let length = small(bytes)? as usize;
        let code = str::from_utf8(take(bytes, length)?).map_err(|_| Unreadable)?;
        let later = i64::try_from(varint::read(bytes, 64)?).map_err(|_| Unreadable)?;
        let mut visitor = [0; 8];
        visitor.copy_from_slice(take(bytes, 8)?);
        let sort = match take(bytes, 1)? {
            [0] => Sort::Human,
            [1] => Sort::Bot,
            [2] => Sort::Other,
            _ => return Err(Unreadable),
        };
        let mut labels = [0; 7];
        for label in &mut labels[first_label(sort)..] {
            *label = small(bytes)?;
        }
        if !wanted(link) {
            continue;
        }
        let at_ms = earliest.checked_add(later).ok_or(Unreadable)?;
        let source = sources.add(owner, code).ok_or(Unreadable)?;
        let visitor = u64::from_le_bytes(visitor);
        visits.push(Visit::new(link, at_ms, visitor, labels, source, sort));
    }
    Ok(())
}

/// The accounts whose clicks are in a row.
pub(super) fn owners(mut bytes: &[u8]) -> Result<Vec<Uuid>, Unreadable> {
    header(&mut bytes).map(|(_, owners)| owners)
}

fn header(bytes: &mut &[u8]) -> Result<(i64, Vec<Uuid>), Unreadable> {
    if take(bytes, 1)? != [VERSION] {
        return Err(Unreadable);
    }
    let earliest = i64::try_from(varint::read(bytes, 64)?).map_err(|_| Unreadable)?;
    let mut owners = Vec::new();
    for _ in 0..small(bytes)? {
        owners.push(Uuid::from_slice(take(bytes, 16)?).map_err(|_| Unreadable)?);
    }
    Ok((earliest, owners))
}

/// Of which dimensions there are labels: from this place on.
fn first_label(sort: Sort) -> usize {
    match sort {
        Sort::Human => 0,
        Sort::Bot | Sort::Other => 6,
    }
}

fn small(bytes: &mut &[u8]) -> Result<u32, Unreadable> {
    u32::try_from(varint::read(bytes, 32)?).map_err(|_| Unreadable)
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], Unreadable> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Unreadable)?;
    *bytes = rest;
    Ok(taken)
}
