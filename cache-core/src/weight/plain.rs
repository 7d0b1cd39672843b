//! Types that own nothing, and compounds that own what their parts do.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroI32, NonZeroI64, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::{Duration, Instant, SystemTime};

use super::{HeapSize, sum};

macro_rules! own_nothing {
    ($($type:ty),+ $(,)?) => {$(
        impl HeapSize for $type {
            #[inline]
            fn heap_bytes(&self) -> usize {
                0
            }
        }
    )+};
}

own_nothing!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char, (), str);
own_nothing!(NonZeroU32, NonZeroU64, NonZeroUsize, NonZeroI32, NonZeroI64);
own_nothing!(Duration, Instant, SystemTime, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr);

impl<T: ?Sized> HeapSize for PhantomData<T> {
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Borrowed for ever, so nobody's.
impl<T: ?Sized> HeapSize for &'static T {
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<T: HeapSize> HeapSize for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: HeapSize, E: HeapSize> HeapSize for Result<T, E> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or_else(E::heap_bytes, T::heap_bytes)
    }
}

/// What is borrowed weighs nothing.
impl<T: ToOwned<Owned: HeapSize> + ?Sized> HeapSize for Cow<'_, T> {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Borrowed(_) => 0,
            Self::Owned(owned) => owned.heap_bytes(),
        }
    }
}

impl<T: HeapSize> HeapSize for [T] {
    fn heap_bytes(&self) -> usize {
        sum(self.iter())
    }
}

impl<T: HeapSize, const N: usize> HeapSize for [T; N] {
    fn heap_bytes(&self) -> usize {
        sum(self.iter())
    }
}

macro_rules! tuples {
    ($(($($part:ident)+))+) => {$(
        impl<$($part: HeapSize),+> HeapSize for ($($part,)+) {
            fn heap_bytes(&self) -> usize {
                #[expect(non_snake_case, reason = "a part is named as its type")]
                let ($($part,)+) = self;
                0_usize$(.saturating_add($part.heap_bytes()))+
            }
        }
    )+};
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }
