//! The `#[cached]` attribute of strata-cache. Users take it from the `strata-cache` crate, where it is documented.
//!
//! Stages, one file each, and nothing flows back:
//! tokens → `args` (what was written) and `item` (on what) → `check` (may it be so, and what does it mean) →
//! `expand` (thin: one call into `strata_cache::private`). A fault anywhere → `fallback` (a stand-in beside it).
//!
//! (1) Every fault sits on the token that caused it, and all faults of an attribute come at once.
//! (2) The expansion names `strata_cache::private` only. (3) What no stage reads is refused, never ignored.
//! (4) Only `check` decides; a rule lives nowhere else.
//!
//! Cost: compile time only.

mod args;
mod block;
mod check;
mod expand;
mod fallback;
mod faults;
mod item;
mod levels;
mod options;
mod suggest;
mod ttl;

#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use syn::Item;

use args::Args;
use faults::Faults;
use item::{Function, Home};

/// Caches what a function returns, per scope and arguments. Documented as `strata_cache::cached`.
#[proc_macro_attribute]
pub fn cached(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), item.into()).into()
}

fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Fn(item)) => function(args, item),
        Ok(Item::Impl(item)) => block::expand(args, item),
        Ok(other) => {
            let mut faults = Faults::new();
            faults
                .on(&other, "`#[cached]` goes on a function with a body, or on an impl block that has some");
            faults.beside(item)
        }
        Err(fault) => Faults::from(fault).beside(item),
    }
}

fn function(args: TokenStream, item: syn::ItemFn) -> TokenStream {
    let mut faults = Faults::new();
    let args = Args::parse(args, Span::call_site(), &mut faults);
    let function = Function::new(item, Home::Free);
    let plan = check::check(args, &function, &mut faults);
    match plan {
        Some(plan) if faults.is_empty() => expand::function(&plan),
        _ => faults.beside(fallback::function(&function)),
    }
}
