//! Values that fit into one word and are nothing but their bits: written over in place, while readers read them.
//!
//! (1) Which types these are is a list: of no other is it known that each of its bits counts and that a copy of them is
//! the value. (2) Such a value, once others may find it, is read and written as an atomic word of its size, and no
//! reference to it is handed out but under the shard's lock, or after its slot was retired, when nobody writes it any more.
//! Cost: a comparison that the compiler makes.

use std::any::TypeId;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Whether values of a type are words. No explorer sees accesses to them, so there they are as all others.
#[inline(always)]
pub(super) fn is_word<V: 'static>() -> bool {
    let of = TypeId::of::<V>();
    let is = |known: TypeId| of == known;
    !cfg!(any(loom, shuttle))
        && align_of::<V>() == size_of::<V>()
        && (is(TypeId::of::<u64>())
            || is(TypeId::of::<i64>())
            || is(TypeId::of::<f64>())
            || is(TypeId::of::<usize>())
            || is(TypeId::of::<isize>())
            || is(TypeId::of::<u32>())
            || is(TypeId::of::<i32>())
            || is(TypeId::of::<f32>())
            || is(TypeId::of::<char>())
            || is(TypeId::of::<u16>())
            || is(TypeId::of::<i16>())
            || is(TypeId::of::<u8>())
            || is(TypeId::of::<i8>())
            || is(TypeId::of::<bool>()))
}

/// Reads a word.
///
/// # Safety
/// `V` [is a word](is_word), one is there, and whoever writes it meanwhile does so by [`write`].
#[inline(always)]
pub(super) unsafe fn read<V>(from: *const V) -> V {
    let mut value = MaybeUninit::<V>::uninit();
    let to = value.as_mut_ptr();
    macro_rules! as_word {
        ($atomic:ty, $word:ty) => {{
            // SAFETY: it is there, as large and as aligned as this, and accessed as this by all (2).
            let word = unsafe { <$atomic>::from_ptr(from.cast_mut().cast()) }.load(Ordering::Acquire);
            // SAFETY: `value` is as large and as aligned.
            unsafe { to.cast::<$word>().write(word) };
        }};
    }
    match size_of::<V>() {
        8 => as_word!(AtomicU64, u64),
        4 => as_word!(AtomicU32, u32),
        2 => as_word!(AtomicU16, u16),
        _ => as_word!(AtomicU8, u8),
    }
    // SAFETY: these are the bits of a value (1).
    unsafe { value.assume_init() }
}

/// Writes a word over another.
///
/// # Safety
/// As of [`read`], and nobody else writes it.
#[inline(always)]
pub(super) unsafe fn write<V>(to: *mut V, value: V) {
    let from = std::ptr::from_ref(&value);
    macro_rules! as_word {
        ($atomic:ty, $word:ty) => {{
            // SAFETY: `value` is as large and as aligned as this, and each of its bits counts (1).
            let word = unsafe { from.cast::<$word>().read() };
            // SAFETY: it is there, as large and as aligned as this, and accessed as this by all (2).
            unsafe { <$atomic>::from_ptr(to.cast()) }.store(word, Ordering::Release);
        }};
    }
    match size_of::<V>() {
        8 => as_word!(AtomicU64, u64),
        4 => as_word!(AtomicU32, u32),
        2 => as_word!(AtomicU16, u16),
        _ => as_word!(AtomicU8, u8),
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn comes_back<V: PartialEq + std::fmt::Debug + Copy + 'static>(values: &[V]) {
        assert!(is_word::<V>());
        let mut place = values[0];
        for &value in values {
            let place = &raw mut place;
            // SAFETY: a word is there that nobody else knows.
            unsafe { write(place, value) };
            // SAFETY: as above.
            assert_eq!(unsafe { read(place) }, value);
        }
    }

    #[test]
    fn words_of_all_sizes_come_back() {
        comes_back(&[1_u64, u64::MAX]);
        comes_back(&[-1_i32, 7]);
        comes_back(&[1_u16, 0xfedc]);
        comes_back(&[true, false, true]);
        comes_back(&['x', '\u{10ffff}']);
        comes_back(&[1.5_f64, -0.25]);
    }

    #[test]
    fn what_has_a_drop_padding_or_a_pointer_is_no_word() {
        assert!(!is_word::<String>() && !is_word::<(u32, u8)>() && !is_word::<&'static str>());
        assert!(!is_word::<Option<u32>>() && !is_word::<std::sync::Arc<u64>>() && !is_word::<()>());
    }
}
