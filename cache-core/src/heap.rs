//! What the system's allocator keeps of what was freed.

/// Has the system's allocator give the kernel the pages that are free, wherever in its heap they lie: glibc gives back by itself
/// only what lies at the upper end. Nothing where the system's allocator is another; nothing to speak of where the program has one of its own.
///
/// Cost: a tenth of a millisecond a MiB that goes. Who allocates meanwhile may have to wait.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        // SAFETY: it may be called at any time, and touches nothing that is in use.
        #[allow(unsafe_code, reason = "a function of the system's")]
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
