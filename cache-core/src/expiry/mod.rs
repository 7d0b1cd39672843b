//! How long an entry lives: times-to-live as users write them, and the deadlines a shard waits for.
//!
//! (1) No background thread decides whether an entry is expired: readers compare deadlines; [`Deadlines`] only
//! says what memory can be had back. (2) A time-to-live of zero, a negative one and one too long for a deadline
//! are errors when they are given, never clamped. (3) "Never" is written as such.

pub mod deadline;
pub mod ttl;

pub use deadline::Deadlines;
pub use ttl::{IntoTtl, Ttl};
