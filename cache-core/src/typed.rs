//! A value of a type that is known again at its use, for one comparison and no call.
//!
//! (1) `at` points to what `holder` holds, which is a `T` whose `TypeId` is `of`: all three are set together, in `new`, and never
//! again. (2) What an `Arc` holds does not move, and lives for as long as the `Arc`, here as long as `self`. (3) A reference to it is
//! given out only for the type that has the id `of`, shared, and for no longer than `self` is borrowed.
//! Cost: two loads and the comparison of two words with constants; `dyn Any` would ask for the id by a virtual call.
#![allow(unsafe_code, reason = "a cast that a comparison of types has allowed; the rules are above")]

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A shared value of some type.
pub struct Typed {
    of: TypeId,
    /// Never written again; an atomic one because others may be sent to no other thread. Read as any other.
    at: AtomicPtr<()>,
    holder: Arc<dyn Any + Send + Sync>,
}

impl Typed {
    /// Keeps a value.
    pub fn new<T: Send + Sync + 'static>(value: Arc<T>) -> Self {
        let at = AtomicPtr::new(Arc::as_ptr(&value).cast_mut().cast());
        Self { of: TypeId::of::<T>(), at, holder: value }
    }

    /// The value, if it is of that type.
    #[inline(always)]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        if self.of != TypeId::of::<T>() {
            return None;
        }
        let at: *const T = self.at.load(Ordering::Relaxed).cast();
        // SAFETY: by (1) and the comparison that is a `T`, by (2) it outlives the borrow of `self`, and by (3) nobody has it mutably.
        Some(unsafe { &*at })
    }

    /// The value, held.
    pub fn hold<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.holder).downcast().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_as_what_it_is_and_as_nothing_else() {
        let value = Arc::new(7_u64);
        let typed = Typed::new(Arc::clone(&value));
        assert!(std::ptr::eq(typed.get::<u64>().expect("it is one"), &raw const *value));
        assert!(Arc::ptr_eq(&typed.hold::<u64>().expect("it is one"), &value));
        // Of the same size, and of the same size and layout.
        struct Other(#[expect(dead_code, reason = "what matters is what it is")] u64);
        assert!(typed.get::<i64>().is_none() && typed.get::<Other>().is_none());
        assert!(typed.get::<Arc<u64>>().is_none() && typed.hold::<i64>().is_none());
    }

    #[test]
    fn value_lives_as_long_as_it_is_kept_and_no_longer() {
        let value = Arc::new(String::from("seven"));
        let weak = Arc::downgrade(&value);
        let typed = Box::new(Typed::new(value));
        let moved = *typed;
        let seen = std::thread::spawn(move || (moved.get::<String>().cloned(), moved));
        let (text, moved) = seen.join().expect("it only reads");
        assert_eq!(text.as_deref(), Some("seven"));
        drop(moved);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn values_without_a_size_and_at_odd_alignments_are_found() {
        #[repr(align(64))]
        #[derive(Debug, PartialEq)]
        struct Wide(u8);
        assert_eq!(Typed::new(Arc::new(())).get::<()>(), Some(&()));
        assert_eq!(Typed::new(Arc::new(Wide(3))).get::<Wide>(), Some(&Wide(3)));
    }
}
