//! The numbers that the shortener shows on its metrics page.

/// How many links there are.
const LINKS: &str = "kurz_links";
/// How many links were made since the start.
const CREATED: &str = "kurz_links_created_total";
/// How many values of the link table a comparison had to write or remove.
const REPAIRED: &str = "kurz_link_table_repaired_total";

/// Says what the numbers mean, and sets those that are known at the start.
pub fn begin(links: u64) {
    metrics::describe_gauge!(LINKS, "Links of all accounts");
    metrics::describe_counter!(CREATED, "Links made since the start");
    metrics::describe_counter!(REPAIRED, "Values of the link table that had to be repaired");
    metrics::gauge!(LINKS).set(approximate(links));
    metrics::counter!(CREATED).absolute(0);
    metrics::counter!(REPAIRED).absolute(0);
}

/// A link was made.
pub fn link_created() {
    metrics::gauge!(LINKS).increment(1.0);
    metrics::counter!(CREATED).increment(1);
}

/// Links were deleted.
pub fn links_deleted(count: u64) {
    metrics::gauge!(LINKS).decrement(approximate(count));
}

/// Values of the link table were repaired.
pub fn repaired(count: u64) {
    metrics::counter!(REPAIRED).increment(count);
}

/// Exact up to 4,294,967,295, which is more links than one database holds.
fn approximate(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
