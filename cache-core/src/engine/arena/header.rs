//! What every entry carries beside key and value, in sixteen bytes.
//!
//! (1) Scope and hash are written before the entry can be found and not again. (2) Heat and age are hints: readers
//! raise them one after the other, so a raise may be lost. (3) Heat, deadline and age are one word, in this order, so that one
//! comparison tells whether an entry is as hot as can be and its time is not over: a heat at its limit is written as [`HOT`].
//! The writer, who holds the shard's lock, stores it as he likes; readers change heat and age in it and leave the deadline alone,
//! whoever writes that meanwhile. A heat with [`TAGGED`] is that of an entry with tags, which is never [`HOT`]: who reads it has to
//! look whether its tags live. Whether an entry has tags does not change while it can be found. (4) A deadline is written after the value that goes with it, and read before.

use super::kept::Kept;
use crate::clock::{Deadline, Moment};
use crate::scope::CellWord;
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

/// In a state: the heat is at its limit, and uses leave no trace.
const HOT: u8 = u8::MAX;

/// In a heat that is not [`HOT`]: the entry has tags.
const TAGGED: u8 = 1 << 7;

const _: () = assert!(crate::policy::MOST_HEAT < HOT & !TAGGED);

/// Heat, deadline and age, as they were at one look: 8, 48 and 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct State(u64);

impl State {
    fn new(deadline: Deadline, heat: u8, age: u8) -> Self {
        Self(deadline.between(heat, age))
    }

    #[inline]
    pub(in crate::engine) fn deadline(self) -> Deadline {
        Deadline::within(self.0)
    }

    /// Whether uses leave no trace and the time is not over, by the face of a clock. False also for entries without a deadline
    /// while the clock has no face.
    #[inline(always)]
    pub(in crate::engine) fn is_hot_and_ahead_of(self, face: u64) -> bool {
        self.0 > face
    }

    /// Whether the time is not over, by the face of a clock.
    #[inline]
    pub(in crate::engine) fn is_ahead_of(self, face: u64) -> bool {
        self.with_heat(HOT).0 > face || self.is_never()
    }

    /// Whether uses leave no trace.
    #[inline]
    pub(in crate::engine) fn is_hot(self) -> bool {
        self.warmth() == HOT
    }

    #[cold]
    fn is_never(self) -> bool {
        self.deadline() == Deadline::NEVER
    }

    /// Whether the entry has tags.
    #[inline]
    pub(in crate::engine) fn is_tagged(self) -> bool {
        (TAGGED..HOT).contains(&self.warmth())
    }

    /// The heat, which is never above this limit.
    #[inline]
    pub(in crate::engine) fn heat(self, limit: u8) -> u8 {
        (self.warmth() & !TAGGED).min(limit)
    }

    /// A heat below any limit as this entry has it.
    #[inline]
    fn of_its_kind(self, heat: u8) -> u8 {
        if self.is_tagged() { heat | TAGGED } else { heat }
    }

    /// The heat with [`TAGGED`], or [`HOT`].
    #[inline]
    fn warmth(self) -> u8 {
        let [.., warmth] = self.0.to_le_bytes();
        warmth
    }

    #[inline]
    fn age(self) -> u8 {
        let [age, ..] = self.0.to_le_bytes();
        age
    }

    fn with_heat(self, heat: u8) -> Self {
        Self::new(self.deadline(), heat, self.age())
    }

    fn with_age(self, age: u8) -> Self {
        Self::new(self.deadline(), self.warmth(), age)
    }
}

impl Header {
    pub(in crate::engine) fn new(scope: u32, hash: u32, deadline: Deadline, age: u8) -> Self {
        Self { id: id_of(scope, hash), state: AtomicU64::new(State::new(deadline, 0, age).0) }
    }

    /// Marks an entry that nobody else knows yet as one with tags, which are those of this cell.
    pub(in crate::engine) fn of_cell(self, cell: Option<CellWord>) -> Fresh {
        if cell.is_some() {
            let state = self.state();
            self.state.store(state.with_heat(state.heat(HOT) | TAGGED).0, Relaxed);
        }
        Fresh { header: self, cell, kept: None }
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
        self.state.store(State::new(deadline, state.warmth(), state.age()).0, Relaxed);
    }

    /// Whether the entry's time is over. The clock is read only for an entry that has a deadline.
    #[inline]
    pub(in crate::engine) fn is_expired(&self, now: impl FnOnce() -> Moment) -> bool {
        let deadline = self.deadline();
        deadline != Deadline::NEVER && deadline.moment() <= now()
    }

    /// Raises the heat, to a limit at most.
    pub(in crate::engine) fn warm(&self, limit: u8) {
        let is_warmer = |state: State| state.warmth() & !TAGGED < limit;
        self.change(|state| if is_warmer(state) { state.with_heat(state.warmth() + 1) } else { state });
    }

    /// Notes a use in a generation of an entry whose `state` was just read: heat to a limit, and age.
    #[inline]
    pub(in crate::engine) fn note_use(&self, state: State, limit: u8, generation: u8) {
        let heat = state.warmth().saturating_add(1);
        self.set_hints(if heat < limit { heat } else { HOT }, generation);
    }

    /// As [`note_use`](Self::note_use), of an entry with tags; nothing is written once it is as hot as can be and of this generation.
    #[inline]
    pub(in crate::engine) fn note_tagged_use(&self, state: State, limit: u8, generation: u8) {
        let heat = state.heat(limit);
        if heat < limit || state.age() != generation {
            self.set_hints((heat + 1).min(limit) | TAGGED, generation);
        }
    }

    /// Sets heat and age, and leaves the deadline as it is: two changes of the whole word that the processor makes by writing
    /// one byte of it.
    #[cfg(all(target_arch = "x86_64", not(any(shuttle, loom, miri))))]
    #[inline(always)]
    fn set_hints(&self, heat: u8, age: u8) {
        // SAFETY: these are the highest and the lowest byte of the word. What the language is told of are relaxed changes of the
        // whole word, which is what stores into it amount to: no other byte changes (AMD64 APM 2, 7.3.2).
        unsafe {
            std::arch::asm!(
                "mov byte ptr [{word} + 7], {heat}",
                "mov byte ptr [{word}], {age}",
                word = in(reg) self.state.as_ptr(),
                heat = in(reg_byte) heat,
                age = in(reg_byte) age,
                options(nostack, preserves_flags),
            );
        }
    }

    #[cfg(not(all(target_arch = "x86_64", not(any(shuttle, loom, miri)))))]
    #[inline]
    fn set_hints(&self, heat: u8, age: u8) {
        self.change(|state| state.with_heat(heat));
        self.change(|state| state.with_age(age));
    }

    /// The heat, which is never above this limit.
    pub(in crate::engine) fn heat(&self, limit: u8) -> u8 {
        self.state().heat(limit)
    }

    /// Lowers the heat. For the writer. Where it was at its limit, uses left no trace: there may have been one just now, in this
    /// generation.
    #[inline]
    pub(in crate::engine) fn cool(&self, to: u8, limit: u8, generation: u8) {
        let state = self.state();
        let heat = state.heat(limit);
        if to < heat {
            self.set_hints(state.of_its_kind(to), if heat >= limit { generation } else { state.age() });
        }
    }

    /// Sets the heat of an entry that nobody else knows yet.
    pub(in crate::engine) fn set_heat(&self, heat: u8) {
        let state = self.state();
        self.state.store(state.with_heat(state.of_its_kind(heat)).0, Relaxed);
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

/// An entry that is to be taken in, and what stands beside it: where it has tags, or is kept past its times.
#[derive(Debug)]
pub(in crate::engine) struct Fresh {
    pub(super) header: Header,
    pub(super) cell: Option<CellWord>,
    pub(super) kept: Option<Kept>,
}

impl Fresh {
    /// The same, kept past its times.
    pub(in crate::engine) fn kept(self, kept: Option<Kept>) -> Self {
        Self { kept, ..self }
    }
}

impl From<Header> for Fresh {
    fn from(header: Header) -> Self {
        Self { header, cell: None, kept: None }
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
        fn parts_of_a_state_do_not_touch_one_another(nanos: u64, later: u64, heat: u8, age: u8, limit in 0..=crate::policy::MOST_HEAT) {
            let heat = heat.min(limit);
            let [deadline, later] = [nanos, later].map(|nanos| Deadline::pack(Moment::from_nanos(nanos)));
            let header = Header::new(3, 4, deadline, age);
            let parts = |header: &Header| (header.scope(), header.hash(), header.deadline(), header.heat(limit), header.age());
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
            prop_assert_eq!(header.state().is_hot(), used == limit);
            header.cool(limit / 2, limit, !age);
            let cooled = if limit / 2 < used { (limit / 2, if used >= limit { !age } else { age }) } else { (used, age) };
            prop_assert_eq!(parts(&header), (3, 4, later, cooled.0, cooled.1));
            header.overwrite(deadline, [heat, age]);
            prop_assert_eq!(parts(&header), (3, 4, deadline, heat, age));
        }
    }

    #[test]
    fn one_comparison_tells_what_is_hot_and_not_over() {
        let at = |nanos| Deadline::pack(Moment::from_nanos(nanos));
        for (deadline, is_over) in
            [(at(999), true), (at(1_000), true), (at(1_001), false), (Deadline::NEVER, false)]
        {
            for age in [0, u8::MAX] {
                let (header, face) = (Header::new(1, 2, deadline, age), at(1_000).between(u8::MAX, u8::MAX));
                for heat in 0..4 {
                    let state = header.state();
                    assert_eq!(state.is_ahead_of(face), !is_over);
                    assert_eq!(state.is_hot_and_ahead_of(face), !is_over && heat == 3);
                    assert_eq!(
                        (state.heat(3), state.is_hot(), state.deadline()),
                        (heat, heat == 3, deadline)
                    );
                    header.note_use(state, 3, age);
                }
            }
        }
    }

    #[test]
    fn entry_with_tags_is_never_hot_and_keeps_its_mark_whatever_is_done_to_it() {
        let cell = Some(CellWord::from_bits(7));
        for limit in [1, 3, crate::policy::MOST_HEAT] {
            let header = Header::new(1, 2, Deadline::NEVER, 0).of_cell(cell).header;
            let face = Deadline::pack(Moment::from_nanos(0)).between(u8::MAX, u8::MAX);
            let is_as = |heat: u8, age: u8| {
                let state = header.state();
                assert!(state.is_tagged() && !state.is_hot() && !state.is_hot_and_ahead_of(face));
                assert!(state.is_ahead_of(face));
                assert_eq!((state.heat(limit), header.age()), (heat, age));
            };
            is_as(0, 0);
            for used in 1..=limit.saturating_add(2) {
                header.note_tagged_use(header.state(), limit, used);
                is_as(used.min(limit), used);
            }
            let before = header.state();
            header.note_tagged_use(before, limit, before.age());
            assert_eq!(header.state(), before, "nothing is written once it is as hot as can be");
            header.cool(0, limit, 9);
            is_as(0, 9);
            (0..200).for_each(|_| header.warm(limit));
            header.refresh(5);
            is_as(limit, 5);
            header.put_off(Deadline::NEVER);
            header.set_heat(limit);
            is_as(limit, 5);
        }
        let plain = Header::new(1, 2, Deadline::NEVER, 0).of_cell(None);
        assert!(plain.cell.is_none() && !plain.header.state().is_tagged());
        (0..4).for_each(|_| plain.header.note_use(plain.header.state(), 3, 0));
        assert!(plain.header.state().is_hot() && !plain.header.state().is_tagged());
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
