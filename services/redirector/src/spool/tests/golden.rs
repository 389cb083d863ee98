use std::fs;

use events::{ClickBatch, Partition, click};
use uuid::Uuid;

use super::super::format::{HEADER, Header, RECORD_HEADER, checksum_of_click, write_record};
use super::support::{Disk, everything};

/// A segment as version 1 of the layout has it, with zeros behind its records.
const SEGMENT: &[u8] = include_bytes!("../../../golden/segment.v1.clicks");
/// The clicks in it.
const CLICKS: &[u8] = include_bytes!("../../../../../events/golden/click_batch.v1.0.msgpack");

fn header() -> Header {
    Header {
        spool: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003),
        partition: Partition::from_bits(2),
        first: 1_000_000,
    }
}

fn clicks() -> Vec<Vec<u8>> {
    let encoded = |one: &events::Click| {
        let mut bytes = Vec::new();
        click::encode(one, &mut bytes);
        bytes
    };
    let batch = ClickBatch::decode(CLICKS).unwrap();
    batch.clicks.iter().map(encoded).collect()
}

#[test]
fn what_every_released_version_left_can_be_read() {
    let disk = Disk::new();
    fs::write(disk.folder.segment(header().spool, 1), SEGMENT).unwrap();
    let leftovers = disk.leftovers();
    assert_eq!(leftovers[0].partition(), Some(Partition::from_bits(2)));
    assert!(leftovers[0].chapters().all(|chapter| chapter.torn == 0));
    let expected: Vec<_> = (1_000_000..).zip(clicks()).collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(everything(&leftovers[0]), expected);
}

#[test]
fn this_version_writes_what_it_has_released() {
    let mut written = vec![0; SEGMENT.len()];
    let seed = header().write(&mut written);
    let mut end = HEADER;
    for (number, click) in (1_000_000..).zip(clicks()) {
        let checksum = checksum_of_click(&click);
        end += write_record(&mut written[end..], seed, number, &click, checksum);
    }
    assert!(end > HEADER + 2 * RECORD_HEADER);
    assert_eq!(written, SEGMENT);
}
