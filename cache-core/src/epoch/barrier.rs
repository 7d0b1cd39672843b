//! The fences of (2): a light one for who pins, a heavy one for who raises the epoch.
//!
//! Both are `SeqCst` fences, and the proof of the room speaks of those, unless the kernel can be asked to run a fence on
//! every core that runs a thread of this process (Linux `membarrier`). Then who pins leaves his fence to whoever raises
//! the epoch, for that is rare. On x86-64, where this is done and whose stores become visible in one order for all,
//! the proof holds with two changes. (1) Let a scan's heavy fence meet a reader's thread after it showed its epoch: the scan sees
//! that word or a later one, as before. (2) Let it meet the thread earlier: then the reader looked after the raise, and an
//! unlink whose stamp is below the raised epoch was visible before the raise, so the reader did not find the thing. The change
//! from one kind to the other, once in a domain, is made in the epoch's own word, after the kernel is known to be ready: a
//! scan that did not know it had raised the epoch before the change, who pins lightly read the word after it, and so shows
//! what was raised.
//! Cost: measured beside a fence in `docs/decisions/0008-hits-without-a-lock.md`.

use crate::sync::{Ordering, fence};

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(any(shuttle, loom, miri))))]
mod kernel {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

    static IS_READY: AtomicBool = AtomicBool::new(false);
    static ASKED: Once = Once::new();

    pub(super) fn ask() -> bool {
        ASKED.call_once(|| {
            let wanted = MembarrierQuery::PRIVATE_EXPEDITED | MembarrierQuery::REGISTER_PRIVATE_EXPEDITED;
            let ready = membarrier_query().contains(wanted)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
                && membarrier(MembarrierCommand::PrivateExpedited).is_ok();
            IS_READY.store(ready, Ordering::SeqCst);
        });
        IS_READY.load(Ordering::SeqCst)
    }

    /// Runs a fence on every core; whether that worked.
    pub(super) fn everywhere() -> bool {
        !IS_READY.load(Ordering::SeqCst) || membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(any(shuttle, loom, miri)))))]
mod kernel {
    pub(super) fn ask() -> bool {
        false
    }

    pub(super) fn everywhere() -> bool {
        true
    }
}

/// Whether the kernel can be asked at all. Where it can, only threads that know that it does its part may take a
/// [`Glimpse`](super::Glimpse); where not, all may, and each runs its fence.
pub(super) const MAY_BE_LEFT_TO_THE_KERNEL: bool =
    cfg!(all(target_os = "linux", target_arch = "x86_64", not(any(shuttle, loom, miri))));

/// Asks the kernel for its part, once in a process; whether it will do it.
pub(super) fn ask_kernel() -> bool {
    kernel::ask()
}

/// Between showing an epoch and the first look.
#[inline]
pub(super) fn light(is_fenced: bool) {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    if is_fenced {
        fence(Ordering::SeqCst);
    }
}

/// Between the raise of the epoch and the scan of the records. `false` if a scan would prove nothing.
pub(super) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    kernel::everywhere()
}
