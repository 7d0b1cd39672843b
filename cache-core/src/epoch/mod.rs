//! Epochs: when memory that was taken out of reach may be used again, while readers hold no lock.
//!
//! A reader *pins* its thread, follows shared pointers, and unpins. Who takes a thing out of reach asks for a *stamp*
//! after that, and touches the thing again only when the stamp is *past*: then nobody is left who could have found it.
//!
//! (1) A pinned thread's record shows the epoch that the thread read before it looked at anything shared; it shows 0
//! only while the thread is not pinned. (2) Between showing it and the reader's first look lies a `SeqCst` fence; so
//! it does between an unlink and the reading of its stamp, and between the raise of the epoch and the scan of the records.
//! (3) The *safe* epoch never falls. It is raised to a number N only by a scan that came after the epoch was raised to N
//! or beyond and found no record that showed less than N. (4) A stamp is past when it is below the safe epoch. (5) A
//! record, once listed, stays listed and stays where it is; it belongs to one thread at a time, and to none while it shows
//! an epoch. (6) A pin that is forgotten stays in force for good: memory is not used again, and nothing else happens.
//!
//! *Why (4) is right.* Let a reader R have found a thing that W unlinked. Had W's fence come before R's in their one
//! order, R would have seen the unlink; so R's came first, and W's stamp is not below the epoch e that R shows (both read
//! the same word, and reads across fences in order do not go back). Let the stamp be past by the scan of A, which
//! raised the epoch to N or beyond, and stamp < N. Had A's fence come before R's, then before W's too, and W's stamp would
//! be N at least. So A's fence came after R's, and A saw R show e, or something later. It did not see e, for e <= stamp < N,
//! which (3) excludes. So it saw a later word of R's record; all of these are stored with `Release` after R's last use, A
//! loads with `Acquire`, and the safe epoch carries that on to whoever asks. Hence one raise after the last such reader
//! has left is enough, where schemes whose stamp has no fence need two.
//!
//! Cost, on the machine of `docs/benchmarks.md`, one thread: a pin and its end 2.5 ns, 2 of them the fence (which an exchange
//! in place of store and fence does not make cheaper); a nested pin 1.2 ns; a stamp 2 ns, and one serves for any number of
//! unlinks before it; `is_past` 0.3 ns, one load; `advance` 7 ns and one line per thread that ever pinned at the
//! same time. There is no unsafe code here but in `slot`: who follows pointers has it.
//! After Fraser, "Practical lock-freedom", Cambridge 2004, section 5.2.3. He frees three epochs by turns; we compare numbers, so
//! that a reader who is late holds back what it may have seen, and not the epoch itself.

mod barrier;
mod deferred;
mod domain;
#[cfg(all(test, shuttle))]
mod explore;
mod local;
#[cfg(all(test, loom))]
mod loomed;
mod record;
mod slot;
#[cfg(all(test, not(any(shuttle, loom))))]
mod tests;

use deferred::collect_some;
use deferred::is_clean;
#[cfg(all(test, not(any(shuttle, loom))))]
pub(crate) use deferred::pieces;
pub(crate) use deferred::{collect, defer};
pub(crate) use domain::Stamp;
pub use local::{Glimpse, Pin, glimpse, permit_glimpses, pin};
pub(crate) use local::{is_past, prepare, stamp};
pub(crate) use slot::Leaving;
pub use slot::{FullSlot, Held, Slot};

/// Drops deferred garbage, and waits a little for readers who are about to pass. Whether none is left, and whoever could have found
/// what was taken out of reach before has passed.
pub(crate) fn settle() -> bool {
    const TRIES: usize = if cfg!(any(shuttle, loom)) { 2 } else { 64 };
    let now = stamp();
    (0..TRIES).any(|_| {
        local::advance();
        collect();
        is_clean() && is_past(now) || {
            crate::sync::thread::yield_now();
            false
        }
    })
}

/// [Settles](settle), if there is garbage.
pub(crate) fn settle_garbage() {
    if !is_clean() {
        settle();
    }
}

/// Raises the epoch, finds out which stamps are past, and drops a few pieces of deferred garbage that is: whoever has other
/// things to do does not pay for all that others left. Waits for nobody. Call it outside of locks: it reads a line that another core
/// writes for every thread.
pub(crate) fn advance() {
    local::advance();
    collect_some();
}
