//! Wakers in the order in which their owners came, each removable in constant time; a slab of slots with
//! links.
//!
//! (1) A slot belongs to its owner until the owner removes it; nobody else frees it.
//! (2) Linked slots wait. A slot that was *told* something is unlinked and keeps the word until its owner
//!     comes.
//! (3) No waker is cloned, called or dropped in here: they are handed out.
//! Cost: O(1) each, `tell_all` and `close` O(n).

use std::task::Waker;

const NONE: u32 = u32::MAX;

/// Waiting owners in order of arrival, and words for those who were told one.
#[derive(Debug)]
pub(super) struct Queue<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    head: u32,
    tail: u32,
    waiting: u32,
    told: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Free { next: u32 },
    Waiting { waker: Option<Waker>, prev: u32, next: u32 },
    Told(T),
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE, head: NONE, tail: NONE, waiting: 0, told: 0 }
    }

    /// Adds an owner at the end and returns its slot.
    pub(super) fn push(&mut self) -> u32 {
        let slot = Slot::Waiting { waker: None, prev: self.tail, next: NONE };
        let at = if self.free == NONE {
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).expect("a queue holds fewer than 2^32 waiters")
        } else {
            let at = self.free;
            if let Slot::Free { next } = std::mem::replace(&mut self.slots[at as usize], slot) {
                self.free = next;
            }
            at
        };
        if let Some((_, next)) = self.links(self.tail) {
            *next = at;
        } else {
            self.head = at;
        }
        self.tail = at;
        self.waiting += 1;
        at
    }

    /// Takes an owner's slot back, with its waker or the word it was told.
    pub(super) fn remove(&mut self, at: u32) -> (Option<Waker>, Option<T>) {
        let waker = self.unlink(at);
        let free = Slot::Free { next: self.free };
        let word = match std::mem::replace(&mut self.slots[at as usize], free) {
            Slot::Told(word) => {
                self.told -= 1;
                Some(word)
            }
            Slot::Waiting { .. } | Slot::Free { .. } => None,
        };
        self.free = at;
        (waker, word)
    }

    /// Tells an owner something; it waits no longer, and its waker is returned to be called.
    pub(super) fn tell(&mut self, at: u32, word: T) -> Option<Waker> {
        let waker = self.unlink(at);
        self.slots[at as usize] = Slot::Told(word);
        self.told += 1;
        waker
    }

    /// Tells everybody who waits.
    pub(super) fn tell_all(&mut self, word: T) -> Vec<Waker>
    where
        T: Clone,
    {
        let mut wakers = Vec::with_capacity(self.waiting as usize);
        while let Some(at) = self.front() {
            wakers.extend(self.tell(at, word.clone()));
        }
        wakers
    }

    /// Ends the queue: all wakers, in order. Slots are void from here on.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::with_capacity(self.waiting as usize);
        while let Some(at) = self.front() {
            wakers.extend(self.unlink(at));
        }
        *self = Self::new();
        wakers
    }

    /// The place where an owner that waits keeps its waker.
    pub(super) fn waker(&mut self, at: u32) -> Option<&mut Option<Waker>> {
        match self.slots.get_mut(at as usize) {
            Some(Slot::Waiting { waker, .. }) => Some(waker),
            _ => None,
        }
    }

    /// Takes the waker of an owner that waits, to call it.
    pub(super) fn take_waker(&mut self, at: u32) -> Option<Waker> {
        self.waker(at).and_then(Option::take)
    }

    pub(super) fn is_told(&self, at: u32) -> bool {
        matches!(self.slots.get(at as usize), Some(Slot::Told(_)))
    }

    /// Who came first of those who wait.
    pub(super) fn front(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// Who came next after a waiting owner; the first again after the last.
    pub(super) fn following(&self, at: u32) -> Option<u32> {
        match self.slots.get(at as usize) {
            Some(Slot::Waiting { next, .. }) if *next != NONE => Some(*next),
            _ => self.front(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting as usize
    }

    /// Whether no slot belongs to anybody.
    pub(super) fn is_vacant(&self) -> bool {
        self.waiting == 0 && self.told == 0
    }

    fn unlink(&mut self, at: u32) -> Option<Waker> {
        let Some(Slot::Waiting { waker, prev, next }) = self.slots.get_mut(at as usize) else {
            return None;
        };
        let (waker, prev, next) = (waker.take(), *prev, *next);
        match self.links(prev) {
            Some((_, link)) => *link = next,
            None => self.head = next,
        }
        match self.links(next) {
            Some((link, _)) => *link = prev,
            None => self.tail = prev,
        }
        self.waiting -= 1;
        waker
    }

    fn links(&mut self, at: u32) -> Option<(&mut u32, &mut u32)> {
        match self.slots.get_mut(at as usize) {
            Some(Slot::Waiting { prev, next, .. }) => Some((prev, next)),
            _ => None,
        }
    }
}
