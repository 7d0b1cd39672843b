//! An `Arc` that can be exchanged while others read through it without counting.
//!
//! (1) The pointer came from an `Arc`, one count of which the slot holds. (2) What was exchanged keeps that count until no pin
//! can have seen the pointer. (3) What a load hands out borrows the pin, and holds no count. Cost: a load is one load.

#![allow(unsafe_code, reason = "counts that readers do not take; the rules are above")]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::{Pin, defer};
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
        self.take_over(old)
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
            Ok(old) => drop(self.take_over(old)),
            Err(_) => {
                // SAFETY: it was made just now and nobody has seen it.
                drop(unsafe { Arc::from_raw(value) });
                return false;
            }
        }
        true
    }

    /// Counts what was in the slot once for the caller, and leaves the slot's count to those who still look.
    fn take_over(&self, old: *mut T) -> Option<Arc<T>> {
        if old.is_null() {
            return None;
        }
        // SAFETY: the slot's count, by (1); nobody else takes it, for the pointer was swapped out.
        let old = unsafe { Arc::from_raw(old) };
        defer(Arc::clone(&old));
        Some(old)
    }
}

/// A [`Slot`] that is never empty, so that a look need not ask.
#[derive(Debug)]
pub struct FullSlot<T: Send + Sync + 'static>(Slot<T>);

impl<T: Send + Sync + 'static> FullSlot<T> {
    /// A slot that holds this.
    pub fn new(value: Arc<T>) -> Self {
        Self(Slot::new(Some(value)))
    }

    /// What it holds.
    #[inline(always)]
    pub fn load<'p>(&'p self, _pin: &'p Pin) -> Held<'p, T> {
        // SAFETY: it came from an `Arc`, whose count lives as long as this pin, as in `Slot::load`.
        unsafe { self.held() }
    }

    /// What it holds. Nobody exchanges it meanwhile.
    pub fn present(&mut self) -> Held<'_, T> {
        // SAFETY: it came from an `Arc`, the slot's own count of which lives as long as this borrow.
        unsafe { self.held() }
    }

    /// # Safety
    /// The count of what is held lives for 'p.
    #[inline(always)]
    unsafe fn held<'p>(&self) -> Held<'p, T> {
        let pointer = self.0.pointer.load(Ordering::Acquire);
        // SAFETY: nothing puts a null pointer there; the rest is the caller's promise.
        let value = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
        Held { value, pin: PhantomData }
    }

    /// Puts something in the place of what it held, and answers that.
    pub fn swap(&self, value: Arc<T>) -> Arc<T> {
        self.0.swap(Some(value)).expect("it was never empty")
    }
}

impl<T: Send + Sync + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

fn raw<T>(value: Option<Arc<T>>) -> *mut T {
    value.map_or(std::ptr::null_mut(), |value| Arc::into_raw(value).cast_mut())
}
