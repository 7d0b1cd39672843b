//! An `Arc` that can be exchanged while others read through it without counting.
//!
//! (1) The pointer came from an `Arc`, one count of which the slot holds. (2) What was exchanged keeps that count until no pin
//! can have seen the pointer: deferred garbage keeps it, or who took it out, as `Leaving`. (3) What a load hands out borrows the pin,
//! and holds no count. Cost: a load is one load.

#![allow(unsafe_code, reason = "counts that readers do not take; the rules are above")]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::{Pin, Stamp, defer, is_past, stamp};
use crate::sync::{Arc, AtomicPtr, Ordering};

/// A place for an `Arc`.
#[derive(Debug)]
pub struct Slot<T: Send + Sync + 'static> {
    pointer: AtomicPtr<T>,
    owner: PhantomData<Arc<T>>,
}

/// What a slot held when it was looked at.
#[derive(Debug)]
pub struct Held<'p, T> {
    value: ManuallyDrop<Arc<T>>,
    pin: PhantomData<&'p Pin>,
}

impl<T> Deref for Held<'_, T> {
    type Target = Arc<T>;

    #[inline]
    fn deref(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// A slot that holds something, or nothing.
    pub fn new(value: Option<Arc<T>>) -> Self {
        Self { pointer: AtomicPtr::new(raw(value)), owner: PhantomData }
    }

    /// What it holds.
    #[inline]
    pub fn load<'p>(&'p self, _pin: &'p Pin) -> Option<Held<'p, T>> {
        let pointer = self.pointer.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: it came from an `Arc`, whose count lives as long as this pin by (2), and is not taken by this one.
        let value = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
        Some(Held { value, pin: PhantomData })
    }

    /// Puts something in the place of what it held, and answers that.
    pub fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let old = self.pointer.swap(raw(value), Ordering::AcqRel);
        // SAFETY: the slot's count, by (1); nobody else takes it, for the pointer was swapped out.
        (!old.is_null()).then(|| unsafe { take_over(old) })
    }

    /// Takes out what it held, with the slot's count, for somebody who will wait for readers himself.
    pub(crate) fn take_out(&self) -> Option<Leaving<T>> {
        let old = self.pointer.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if old.is_null() {
            return None;
        }
        // SAFETY: the slot's count, by (1); nobody else takes it, for the pointer was swapped out.
        let value = unsafe { Arc::from_raw(old) };
        // After the swap, as the rule for stamps wants it.
        Some(Leaving { value: Some(value), stamp: stamp() })
    }

    /// Takes out what it held. Nobody can look meanwhile, so nothing is deferred.
    pub fn take(&mut self) -> Option<Arc<T>> {
        let pointer = self.pointer.swap(std::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the slot's count, by (1). Whoever looks through the slot borrows it.
        (!pointer.is_null()).then(|| unsafe { Arc::from_raw(pointer) })
    }

    /// As [`swap`](Self::swap), if it holds this very thing; whether it did.
    pub fn replace(&self, known: &Arc<T>, value: Arc<T>) -> bool {
        let (known, value) = (Arc::as_ptr(known).cast_mut(), raw(Some(value)));
        match self.pointer.compare_exchange(known, value, Ordering::AcqRel, Ordering::Relaxed) {
            // SAFETY: as in `swap`; it is what `known` came from, and so is not null.
            Ok(old) => drop(unsafe { take_over(old) }),
            Err(_) => {
                // SAFETY: it was made just now and nobody has seen it.
                drop(unsafe { Arc::from_raw(value) });
                return false;
            }
        }
        true
    }
}

/// What was taken out of a slot. Readers may still look at it, so it keeps the slot's count until they have passed.
#[derive(Debug)]
pub(crate) struct Leaving<T: Send + Sync + 'static> {
    /// None only while it is dropped, or was handed out.
    value: Option<Arc<T>>,
    stamp: Stamp,
}

impl<T: Send + Sync + 'static> Leaving<T> {
    /// The count, if nobody is left who could have found the thing in the slot; it is not, before somebody
    /// [advanced](super::advance).
    pub(crate) fn passed(mut self) -> Result<Arc<T>, Self> {
        if !is_past(self.stamp) {
            return Err(self);
        }
        self.value.take().ok_or(self)
    }

    /// Where it is in memory: to be compared only.
    pub(crate) fn address(&self) -> usize {
        self.value.as_ref().map_or(0, |value| Arc::as_ptr(value).addr())
    }

    /// What leaves, for tests.
    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn value(&self) -> &T {
        self.value.as_ref().expect("it was not handed out")
    }
}

impl<T: Send + Sync + 'static> Drop for Leaving<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            defer(value);
        }
    }
}

/// A [`Slot`] that is never empty, so that a look need not ask: while nothing was put there, a look finds what it was made with.
#[derive(Debug)]
pub struct FullSlot<T: Send + Sync + 'static> {
    /// To `rest`, which it has no count of, or to what came from an `Arc`, of which it has one.
    pointer: AtomicPtr<T>,
    /// Kept until the slot goes, so that nobody has to wait for readers who still look at it.
    rest: Arc<T>,
}

impl<T: Send + Sync + 'static> FullSlot<T> {
    /// A slot where nothing was put yet, and a look finds `rest`.
    pub fn new(rest: Arc<T>) -> Self {
        Self { pointer: AtomicPtr::new(Arc::as_ptr(&rest).cast_mut()), rest }
    }

    /// What a look finds now.
    #[inline(always)]
    pub fn load<'p>(&'p self, _pin: &'p Pin) -> Held<'p, T> {
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: it came from an `Arc`. What was put here is counted as long as this pin, as in `Slot::load`, and `rest` as long
        // as this borrow; the count is not taken by this one.
        let value = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
        Held { value, pin: PhantomData }
    }

    /// Puts something there, or has looks find `rest` again, which is also what putting that there does. Answers what had been
    /// put there.
    pub fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let value = value.filter(|value| !Arc::ptr_eq(value, &self.rest));
        let value = value.map_or(Arc::as_ptr(&self.rest).cast_mut(), |value| raw(Some(value)));
        let old = self.pointer.swap(value, Ordering::AcqRel);
        // SAFETY: what was put here has a count, by (1), and nobody else takes it, for the pointer was swapped out.
        (!self.is_rest(old)).then(|| unsafe { take_over(old) })
    }

    /// Takes out what was put there. Nobody can look meanwhile, so nothing is deferred.
    pub fn take(&mut self) -> Option<Arc<T>> {
        let old = self.pointer.swap(Arc::as_ptr(&self.rest).cast_mut(), Ordering::Relaxed);
        // SAFETY: as in `swap`. Whoever looks through the slot borrows it.
        (!self.is_rest(old)).then(|| unsafe { Arc::from_raw(old) })
    }

    /// Whether a pointer of the slot is that to `rest`, and so not counted.
    fn is_rest(&self, pointer: *mut T) -> bool {
        std::ptr::eq(pointer, Arc::as_ptr(&self.rest))
    }
}

impl<T: Send + Sync + 'static> Drop for FullSlot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Counts what was in a slot once for the caller, and leaves the slot's count to those who still look.
///
/// # Safety
/// The pointer came from an `Arc`, and the slot's count of it is the caller's.
unsafe fn take_over<T: Send + Sync + 'static>(old: *mut T) -> Arc<T> {
    // SAFETY: the caller's promise.
    let old = unsafe { Arc::from_raw(old) };
    defer(Arc::clone(&old));
    old
}

impl<T: Send + Sync + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

fn raw<T>(value: Option<Arc<T>>) -> *mut T {
    value.map_or(std::ptr::null_mut(), |value| Arc::into_raw(value).cast_mut())
}
