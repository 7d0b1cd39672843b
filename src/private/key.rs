//! Keys of cached functions: a view that borrows the arguments, and the key that owns them.
//!
//! (1) A view hashes like the key made of it, and equals exactly that key; so a hit is found without an allocation.
//! (2) Both hash and compare through `T`, the type the argument borrows, never through `T::Owned`: a `Borrow` that
//! breaks its contract cannot break (1). (3) The type of the key depends on the types of the arguments only, so the
//! function and its companions agree on it. (4) Parts are compared one by one, never joined.
//!
//! Cost of a look-up: one pass over the arguments, no allocation; of a key: one `to_owned` per argument.

use std::borrow::{Borrow, ToOwned};
use std::hash::{Hash, Hasher};

use equivalent::Equivalent;

/// What an argument of a cached function must be to take part in the key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "an argument that is not `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "a key is hashed, compared, and kept after the call",
    note = "derive `Clone, PartialEq, Eq, Hash` for it, pass something that names it, or, if the result does not \
            depend on it, leave it out: `skip(..)` for a parameter, `receiver = ()` for `self`"
)]
pub trait KeyPart: ToOwned<Owned: Send + Sync + 'static> + Hash + Eq + 'static {}

#[diagnostic::do_not_recommend]
impl<T> KeyPart for T where T: ?Sized + ToOwned<Owned: Send + Sync + 'static> + Hash + Eq + 'static {}

/// Borrowed arguments of one call: looks up a key and makes it.
pub trait View: Hash + Equivalent<Self::Key> {
    /// The key that owns what the view borrows.
    type Key: Hash + Eq + Clone + Send + Sync + 'static;

    /// Makes the key; called on a miss only.
    fn to_key(&self) -> Self::Key;
}

/// One borrowed argument of a [`View`].
pub trait Part: Hash {
    /// The owned argument.
    type Key: Hash + Eq + Clone + Send + Sync + 'static;

    /// Whether this is the argument in the key.
    fn matches(&self, key: &Self::Key) -> bool;

    /// The owned argument.
    fn to_key(&self) -> Self::Key;
}

/// The view of no arguments, to which others are added.
#[inline]
pub fn view() -> Empty {
    Empty
}

/// The part of an argument `T` or `&T`.
#[inline]
pub fn part<T: KeyPart + ?Sized>(argument: &T) -> One<'_, T> {
    One(argument)
}

/// The part of an argument `Option<&T>`.
#[inline]
pub fn optional<T: KeyPart + ?Sized>(argument: Option<&T>) -> Optional<'_, T> {
    Optional(argument)
}

/// View and key of no arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Empty;

impl Empty {
    /// Adds an argument.
    #[inline]
    pub fn and<P>(self, part: P) -> And<Self, P> {
        And(self, part)
    }
}

impl View for Empty {
    type Key = Self;

    fn to_key(&self) -> Self {
        Self
    }
}

/// A view and one more argument. Not `Eq`: it is compared with [`Key`]s only.
#[derive(Debug, Clone, Copy, Hash)]
pub struct And<R, P>(R, P);

impl<R, P> And<R, P> {
    /// Adds an argument.
    #[inline]
    pub fn and<Q>(self, part: Q) -> And<Self, Q> {
        And(self, part)
    }
}

impl<R: View, P: Part> Equivalent<Key<R::Key, P::Key>> for And<R, P> {
    #[inline]
    fn equivalent(&self, key: &Key<R::Key, P::Key>) -> bool {
        self.1.matches(&key.1) && self.0.equivalent(&key.0)
    }
}

impl<R: View, P: Part> View for And<R, P> {
    type Key = Key<R::Key, P::Key>;

    fn to_key(&self) -> Self::Key {
        Key(self.0.to_key(), self.1.to_key())
    }
}

/// The key of an [`And`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key<R, P>(R, P);

/// A borrowed argument.
#[derive(Debug)]
pub struct One<'a, T: ?Sized>(&'a T);

impl<T: Hash + ?Sized> Hash for One<'_, T> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: KeyPart + ?Sized> Part for One<'_, T> {
    type Key = Owned<T>;

    #[inline]
    fn matches(&self, key: &Owned<T>) -> bool {
        *self.0 == *key.get()
    }

    fn to_key(&self) -> Owned<T> {
        Owned(self.0.to_owned())
    }
}

/// The owned form of a [`One`].
pub struct Owned<T: KeyPart + ?Sized>(T::Owned);

impl<T: KeyPart + ?Sized> Owned<T> {
    #[inline]
    fn get(&self) -> &T {
        self.0.borrow()
    }
}

impl<T: KeyPart + ?Sized> Clone for Owned<T> {
    fn clone(&self) -> Self {
        Self(self.get().to_owned())
    }
}

impl<T: KeyPart + ?Sized> Hash for Owned<T> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl<T: KeyPart + ?Sized> PartialEq for Owned<T> {
    fn eq(&self, other: &Self) -> bool {
        *self.get() == *other.get()
    }
}

impl<T: KeyPart + ?Sized> Eq for Owned<T> {}

/// A borrowed argument that may be absent.
#[derive(Debug)]
pub struct Optional<'a, T: ?Sized>(Option<&'a T>);

impl<T: Hash + ?Sized> Hash for Optional<'_, T> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: KeyPart + ?Sized> Part for Optional<'_, T> {
    type Key = OwnedOption<T>;

    #[inline]
    fn matches(&self, key: &OwnedOption<T>) -> bool {
        self.0 == key.get()
    }

    fn to_key(&self) -> OwnedOption<T> {
        OwnedOption(self.0.map(ToOwned::to_owned))
    }
}

/// The owned form of an [`Optional`].
pub struct OwnedOption<T: KeyPart + ?Sized>(Option<T::Owned>);

impl<T: KeyPart + ?Sized> OwnedOption<T> {
    #[inline]
    fn get(&self) -> Option<&T> {
        self.0.as_ref().map(Borrow::borrow)
    }
}

impl<T: KeyPart + ?Sized> Clone for OwnedOption<T> {
    fn clone(&self) -> Self {
        Self(self.get().map(ToOwned::to_owned))
    }
}

impl<T: KeyPart + ?Sized> Hash for OwnedOption<T> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl<T: KeyPart + ?Sized> PartialEq for OwnedOption<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: KeyPart + ?Sized> Eq for OwnedOption<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Month(u16, u8);

    fn agree<V: View>(view: V) -> V::Key {
        let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        let key = view.to_key();
        assert_eq!(hasher.hash_one(&view), hasher.hash_one(&key));
        assert!(view.equivalent(&key));
        key
    }

    #[test]
    fn view_hashes_and_compares_like_its_key() {
        agree(view());
        agree(view().and(part::<u64>(&7)));
        agree(view().and(part::<str>("theme")).and(part::<[u32]>(&[1, 2])).and(part(&Month(2026, 1))));
        agree(view().and(optional::<str>(Some("a"))).and(optional::<str>(None)));
    }

    #[test]
    fn view_of_other_arguments_does_not_equal_the_key() {
        let key = agree(view().and(part::<str>("ab")).and(part::<str>("c")));
        assert!(!view().and(part::<str>("a")).and(part::<str>("bc")).equivalent(&key));
        assert!(!view().and(part::<str>("ab")).and(part::<str>("d")).equivalent(&key));
        assert!(!view().and(part::<str>("a")).and(part::<str>("c")).equivalent(&key));
        let absent = agree(view().and(optional::<str>(None)));
        assert!(!view().and(optional::<str>(Some(""))).equivalent(&absent));
    }

    #[test]
    fn key_hashes_through_what_the_argument_borrows() {
        // A type whose owned form breaks the contract of `Borrow`: other hash, other equality.
        #[derive(PartialEq, Eq, Hash)]
        struct Odd(u8);
        struct OddOwned(Odd);
        impl Borrow<Odd> for OddOwned {
            fn borrow(&self) -> &Odd {
                &self.0
            }
        }
        impl ToOwned for Odd {
            type Owned = OddOwned;
            fn to_owned(&self) -> OddOwned {
                OddOwned(Odd(self.0))
            }
        }
        agree(view().and(part(&Odd(3))));
    }
}
