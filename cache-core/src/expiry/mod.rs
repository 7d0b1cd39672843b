//! How long an entry lives: times-to-live as users write them.
//!
//! (1) No background thread decides whether an entry is expired: readers compare deadlines. What is due is found by the
//! engine's arenas, 64 slots at a time. (2) A time-to-live of zero, a negative one and one too long for a deadline
//! are errors when they are given, never clamped. (3) "Never" is written as such.

pub mod ttl;

pub use ttl::{IntoTtl, Ttl};
