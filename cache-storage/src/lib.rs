//! What lies below memory: backends that keep bytes under structured keys.
//!
//! A tier below memory (a map, a disk, a server) is a [`Storage`]. It never sees a value, a codec or a clock: keys
//! are scope path, region and key bytes, values are opaque bytes. Whoever writes a backend implements [`Storage`]
//! and shows with the suite (feature `testing`) that it behaves; whoever composes backends holds
//! `Arc<dyn DynStorage>`, which is a `Storage` again.
//!
//! | question | file |
//! |---|---|
//! | what a backend must do | `storage.rs` |
//! | how backends of different types are held | `erased.rs` |
//! | what identifies an entry, and its bytes | `key.rs`, `key/encoding.rs` |
//! | what a backend says of itself | `capability.rs` |
//! | the plainest backend, to compare with | `reference.rs` |
//! | whether a backend behaves | `suite.rs` |

pub mod capability;
pub mod erased;
pub mod error;
pub mod key;
pub mod reference;
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod suite;
#[cfg(any(test, feature = "testing"))]
mod wait;

pub use capability::Capability;
pub use erased::{BoxFuture, DynStorage};
pub use error::{Error, ErrorKind, Result};
pub use key::{DecodedKey, Segment, StorageKey};
pub use reference::Reference;
pub use storage::{Count, Storage, Value};
