//! Asking for lines of memory ahead of their use.

/// Asks for the line of an address, which need not be one of ours.
#[inline(always)]
#[allow(unsafe_code, reason = "an instruction that reads nothing")]
pub(crate) fn prefetch<T>(line: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = line;
}

/// The same for an element of a slice, if there is such a one.
#[inline(always)]
pub(crate) fn prefetch_at<T>(slice: &[T], at: usize) {
    prefetch(slice.as_ptr().wrapping_add(at));
}
