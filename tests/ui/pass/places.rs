//! Functions of one name in several places, nested ones, visibility, a renamed crate, no prelude, recursion.
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, elided_lifetimes_in_paths)]
#![forbid(unsafe_code)]

use strata_cache as renamed;

mod one {
    #[strata_cache::cached(scope = "global")]
    pub(crate) fn same() -> u8 {
        1
    }
}

mod two {
    #[strata_cache::cached(scope = "global")]
    pub(super) fn same() -> u8 {
        2
    }
}

#[renamed::cached(scope = "global", crate = renamed)]
fn through_a_name() -> u8 {
    3
}

fn nested(outer: bool) -> u8 {
    if outer {
        #[strata_cache::cached(scope = "global")]
        fn same() -> u8 {
            4
        }
        same()
    } else {
        #[strata_cache::cached(scope = "global")]
        fn same() -> u8 {
            5
        }
        same()
    }
}

#[strata_cache::cached(scope = "global")]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[strata_cache::cached(scope = "global")]
#[cfg(any())]
fn absent() -> u8 {
    6
}

mod bare {
    #![no_implicit_prelude]

    #[::strata_cache::cached(scope = "org", ttl = 5, max = 3, without_scope = bypass)]
    pub(crate) fn bare(org_id: u64, name: &str) -> ::std::option::Option<::std::string::String> {
        ::std::assert!(org_id > 0);
        ::std::option::Option::Some(::std::convert::From::from(name))
    }

    pub(crate) struct Type;

    #[::strata_cache::cached]
    impl Type {
        #[cached(scope = "global", receiver = ())]
        pub(crate) async fn bare(&self, name: &str) -> ::std::result::Result<u8, ::std::fmt::Error> {
            ::std::assert!(name.len() > 0);
            ::std::result::Result::Ok(1)
        }
    }
}

macro_rules! made {
    ($name:ident, $ty:ty) => {
        #[strata_cache::cached(scope = "org", ttl = 5)]
        fn $name(org_id: u64, argument: $ty) -> u64 {
            org_id + argument.len() as u64
        }
    };
}

made!(made, &str);

mod blanket {
    //! A trait for everything, with the names of methods that an expansion might call.
    pub(crate) trait Everything {
        fn kind(&self) {}
        fn part(&self) {}
        fn and(&self) {}
        fn stored(&self) {}
        fn run(&self) {}
        fn start(&self) {}
    }
    impl<T: ?Sized> Everything for T {}
}
use blanket::Everything;

#[strata_cache::cached(scope = "global")]
fn beside_a_blanket(a: u8, b: Option<&str>) -> Result<u8, String> {
    ((a.kind(), a.part()), (a.and(), a.stored()), (a.run(), a.start()));
    Ok(a + b.map_or(0, |b| b.len() as u8))
}

fn main() {
    assert_eq!((beside_a_blanket(1, Some("a")), beside_a_blanket::peek(1, Some("a"))), (Ok(2), Some(Ok(2))));
    assert_eq!((one::same(), two::same(), one::same(), two::same()), (1, 2, 1, 2));
    assert_eq!((nested(true), nested(false), nested(true)), (4, 5, 4));
    assert_eq!((through_a_name(), fibonacci(80)), (3, 23_416_728_348_467_685));
    assert_eq!(fibonacci::peek(79), Some(14_472_334_024_676_221));
    assert_eq!(bare::bare(1, "a").as_deref(), Some("a"));
    drop(bare::Type.bare("a"));
    assert_eq!((made(1, "ab"), made::peek(1, "ab")), (3, Some(3)));
}
