//! Types that own one block: text, boxes, vectors, shared values.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::{HeapSize, allocated, sum};

/// Two counts stand before a shared value.
const COUNTS: usize = 2 * size_of::<usize>();

impl HeapSize for String {
    fn heap_bytes(&self) -> usize {
        allocated(self.capacity())
    }
}

impl HeapSize for OsString {
    fn heap_bytes(&self) -> usize {
        allocated(self.capacity())
    }
}

impl HeapSize for PathBuf {
    fn heap_bytes(&self) -> usize {
        allocated(self.capacity())
    }
}

impl HeapSize for OsStr {
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl HeapSize for Path {
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<T: HeapSize + ?Sized> HeapSize for Box<T> {
    fn heap_bytes(&self) -> usize {
        allocated(size_of_val(&**self)).saturating_add((**self).heap_bytes())
    }
}

/// In full for every handle: a value shared by ten entries counts ten times.
impl<T: HeapSize + ?Sized> HeapSize for Arc<T> {
    fn heap_bytes(&self) -> usize {
        allocated(shared(&**self)).saturating_add((**self).heap_bytes())
    }
}

/// In full for every handle, as for `Arc`.
impl<T: HeapSize + ?Sized> HeapSize for Rc<T> {
    fn heap_bytes(&self) -> usize {
        allocated(shared(&**self)).saturating_add((**self).heap_bytes())
    }
}

/// The block of a shared value, its counts padded to its alignment.
fn shared<T: ?Sized>(value: &T) -> usize {
    let align = align_of_val(value).max(align_of::<usize>());
    COUNTS.next_multiple_of(align).saturating_add(size_of_val(value)).next_multiple_of(align)
}

impl<T: HeapSize> HeapSize for Vec<T> {
    fn heap_bytes(&self) -> usize {
        room::<T>(self.capacity()).saturating_add(sum(self.iter()))
    }
}

impl<T: HeapSize> HeapSize for VecDeque<T> {
    fn heap_bytes(&self) -> usize {
        room::<T>(self.capacity()).saturating_add(sum(self.iter()))
    }
}

/// A block for so many values; what has no size needs none.
fn room<T>(capacity: usize) -> usize {
    allocated(size_of::<T>().saturating_mul(capacity))
}
