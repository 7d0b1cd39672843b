//! What every entry carries beside key and value, in sixteen bytes.
//!
//! (1) Scope and hash are written before the entry can be found and not again. (2) Heat and age are hints: readers
//! raise them one after the other, so a raise may be lost. (3) Deadline, heat and age are one word, so that one look tells all.
//! The writer, who holds the shard's lock, stores it as he likes; readers change heat and age in it and leave the deadline alone,
//! whoever writes that meanwhile. (4) A deadline is written after the value that goes with it, and read before.

use crate::clock::{Deadline, Moment};
use crate::sync::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The header of an entry.
#[derive(Debug)]
#[repr(C)]
pub(in crate::engine) struct Header {
    /// The scope's number above, the hash below. No atomic, for nobody writes it once others may read it.
    id: u64,
    state: AtomicU64,
}

#[cfg(not(any(shuttle, loom)))]
const _: () = assert!(size_of::<Header>() == 16);

/// Deadline, heat and age, as they were at one look: 48, 8 and 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct State(u64);

impl State {
    fn new(deadline: Deadline, heat: u8, age: u8) -> Self {
        Self(deadline.with(u16::from_le_bytes([heat, age])))
    }

    #[inline]
    pub(in crate::engine) fn deadline(self) -> Deadline {
        Deadline::above(self.0)
    }

    /// Whether the time is not over, by the face of a clock.
    #[inline]
    pub(in crate::engine) fn is_ahead_of(self, face: u64) -> bool {
        self.0 > face || self.is_never()
    }

    #[cold]
    fn is_never(self) -> bool {
        self.deadline() == Deadline::NEVER
    }

    #[inline]
    pub(in crate::engine) fn heat(self) -> u8 {
        let [heat, ..] = self.0.to_le_bytes();
        heat
    }

    #[inline]
    fn age(self) -> u8 {
        let [_, age, ..] = self.0.to_le_bytes();
        age
    }

    fn with_heat(self, heat: u8) -> Self {
        Self::new(self.deadline(), heat, self.age())
    }

    fn with_age(self, age: u8) -> Self {
        Self::new(self.deadline(), self.heat(), age)
    }
}

impl Header {
    pub(in crate::engine) fn new(scope: u32, hash: u32, deadline: Deadline, age: u8) -> Self {
        Self { id: id_of(scope, hash), state: AtomicU64::new(State::new(deadline, 0, age).0) }
    }

    /// Whether it has this [`id_of`].
    #[inline]
    pub(super) fn is(&self, id: u64) -> bool {
        self.id == id
    }

    #[inline]
    pub(in crate::engine) fn scope(&self) -> u32 {
        (self.id >> 32) as u32
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(in crate::engine) fn hash(&self) -> u32 {
        self.id as u32
    }

    #[inline]
    pub(in crate::engine) fn state(&self) -> State {
        // Acquire: (4).
        State(self.state.load(Acquire))
    }

    /// For the writer: another value has been put in, and this goes with it.
    #[inline]
    pub(super) fn overwrite(&self, deadline: Deadline, [heat, age]: [u8; 2]) {
        let state = State::new(deadline, heat, age).0;
        #[cfg(not(loom))]
        self.state.store(state, Release);
        // loom lets a plain store come between the two halves of a reader's exchange, which no processor does.
        #[cfg(loom)]
        self.state.swap(state, Release);
    }

    #[inline]
    pub(in crate::engine) fn deadline(&self) -> Deadline {
        self.state().deadline()
    }

    /// For readers, who may meet the writer.
    fn change(&self, change: impl Fn(State) -> State) {
        let mut known = self.state();
        loop {
            let changed = change(known);
            if changed == known {
                return;
            }
            match self.state.compare_exchange_weak(known.0, changed.0, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => known = State(other),
            }
        }
    }

    /// Moves the deadline of an entry that is in use. For the writer.
    pub(in crate::engine) fn put_off(&self, deadline: Deadline) {
        let state = self.state();
        self.state.store(State::new(deadline, state.heat(), state.age()).0, Relaxed);
    }

    /// Whether the entry's time is over. The clock is read only for an entry that has a deadline.
    #[inline]
    pub(in crate::engine) fn is_expired(&self, now: impl FnOnce() -> Moment) -> bool {
        let deadline = self.deadline();
        deadline != Deadline::NEVER && deadline.moment() <= now()
    }

    /// Raises the heat, to a limit at most.
    pub(in crate::engine) fn warm(&self, limit: u8) {
        self.change(|state| if state.heat() < limit { state.with_heat(state.heat() + 1) } else { state });
    }

    /// Notes a use in a generation of an entry whose `state` was just read: heat to a limit, and age.
    #[inline]
    pub(in crate::engine) fn note_use(&self, state: State, limit: u8, generation: u8) {
        let heat = if state.heat() < limit { state.heat() + 1 } else { state.heat() };
        self.set_hints(u16::from_le_bytes([heat, generation]));
    }

    /// Sets heat and age, and leaves the deadline as it is: a change of the whole word that the processor makes by writing
    /// two bytes of it.
    #[cfg(all(target_arch = "x86_64", not(any(shuttle, loom, miri))))]
    #[inline(always)]
    fn set_hints(&self, hints: u16) {
        // SAFETY: these are the lower two bytes of the word. What the language is told of is a relaxed change of the whole word,
        // which is what one aligned store into it amounts to: no other byte changes (AMD64 APM 2, 7.3.2).
        unsafe {
            std::arch::asm!(
                "mov word ptr [{word}], {hints:x}",
                word = in(reg) self.state.as_ptr(),
                hints = in(reg) hints,
                options(nostack, preserves_flags),
            );
        }
    }

    #[cfg(not(all(target_arch = "x86_64", not(any(shuttle, loom, miri)))))]
    #[inline]
    fn set_hints(&self, hints: u16) {
        self.change(|state| State(state.0 & !u64::from(u16::MAX) | u64::from(hints)));
    }

    pub(in crate::engine) fn heat(&self) -> u8 {
        self.state().heat()
    }

    /// Lowers the heat. For the writer. Where it was at its limit, uses left no trace: there may have been one just now, in this
    /// generation.
    #[inline]
    pub(in crate::engine) fn cool(&self, to: u8, limit: u8, generation: u8) {
        let state = self.state();
        if to < state.heat() {
            let age = if state.heat() >= limit { generation } else { state.age() };
            self.set_hints(u16::from_le_bytes([to, age]));
        }
    }

    /// Sets the heat of an entry that nobody else knows yet.
    pub(in crate::engine) fn set_heat(&self, heat: u8) {
        self.state.store(self.state().with_heat(heat).0, Relaxed);
    }

    /// The generation of the last use.
    pub(in crate::engine) fn age(&self) -> u8 {
        self.state().age()
    }

    /// Notes a use in a generation; written once in each.
    pub(in crate::engine) fn refresh(&self, generation: u8) {
        self.change(|state| state.with_age(generation));
    }
}

/// A scope's number and a hash in one word.
#[inline]
pub(super) const fn id_of(scope: u32, hash: u32) -> u64 {
    (scope as u64) << 32 | hash as u64
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_of_a_state_do_not_touch_one_another(nanos: u64, later: u64, heat: u8, age: u8, limit: u8) {
            let [deadline, later] = [nanos, later].map(|nanos| Deadline::pack(Moment::from_nanos(nanos)));
            let header = Header::new(3, 4, deadline, age);
            let parts = |header: &Header| (header.scope(), header.hash(), header.deadline(), header.heat(), header.age());
            prop_assert_eq!(parts(&header), (3, 4, deadline, 0, age));
            header.set_heat(heat);
            prop_assert_eq!(parts(&header), (3, 4, deadline, heat, age));
            header.warm(limit);
            let warmed = if heat < limit { heat + 1 } else { heat };
            prop_assert_eq!(parts(&header), (3, 4, deadline, warmed, age));
            header.refresh(!age);
            header.put_off(later);
            prop_assert_eq!(parts(&header), (3, 4, later, warmed, !age));
            header.note_use(header.state(), limit, age);
            let used = if warmed < limit { warmed + 1 } else { warmed };
            prop_assert_eq!(parts(&header), (3, 4, later, used, age));
            header.cool(limit / 2, limit, !age);
            let cooled = if limit / 2 < used { (limit / 2, if used >= limit { !age } else { age }) } else { (used, age) };
            prop_assert_eq!(parts(&header), (3, 4, later, cooled.0, cooled.1));
            header.overwrite(deadline, [heat, age]);
            prop_assert_eq!(parts(&header), (3, 4, deadline, heat, age));
        }
    }

    #[test]
    fn entry_without_a_deadline_is_ahead_of_every_clock() {
        let header = Header::new(1, 2, Deadline::NEVER, 0);
        assert!(header.state().is_ahead_of(u64::MAX));
        assert!(!header.is_expired(|| Moment::from_nanos(u64::MAX - 1)));
        let latest = Header::new(1, 2, Deadline::pack(Moment::from_nanos(u64::MAX - 1)), 0);
        assert!(!latest.state().is_ahead_of(u64::MAX));
    }
}
