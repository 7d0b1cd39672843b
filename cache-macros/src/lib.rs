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

/// Caches what a function returns, per scope and arguments.
///
/// ```text
/// #[cached(scope = "user", ttl = "10m")]
/// fn preferences(org_id: u64, user_id: u64, section: &str) -> Result<Preferences, DbError> {
///     db().load_preferences(user_id, section)
/// }
///
/// preferences(7, 42, "theme")?;                // runs
/// preferences(7, 42, "theme")?;                // is served
/// preferences::invalidate(7, 42, "theme");     // acts at the call
/// ```
///
/// The function stays an ordinary one, sync or async. Of a `Result`, by whatever alias, `Ok` is stored and `Err` is not;
/// anything else is stored whole, `None` too. A stored value is handed out as clones: return `Arc<T>` for large ones.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `scope = "user"` | the level of the default tree (`org`, `user`, `session`), `"global"`, or a whole path of another tree: `"tenant/project"`, `"/tenant"` | none: it is written |
/// | `ids(org = tenant.id)` | where the id of a level comes from; an expression over the parameters | the parameter `<level>_id`, which then is not part of the key |
/// | `ids(ambient)` | all ids come from the ambient scope | |
/// | `ttl = 600`, `"5m"`, `"never"`, an expression | time-to-live: seconds, text of numbers with ms, s, m, h, d, or a `Duration` | the cache's |
/// | `max = 1000` | most entries of this function in one scope; a number or a constant | the cache's |
/// | `skip(db, log)` | parameters that are not part of the key | |
/// | `receiver = self.id` | what identifies `self`, or `()` if nothing needs to; methods only | none: it is written |
/// | `without_scope = bypass` | without a scope that resolves (no ambient scope, a level that the installed tree lacks, an empty id): `bypass` runs it uncached, counts it in `stats().bypassed` and logs it once, `error` returns an error (`E: From<strata_cache::Error>`), `panic` panics | `bypass` |
/// | `crate = ::renamed` | where strata-cache is | `::strata_cache` |
///
/// Arguments are `Hash + Eq + Clone + Send + Sync + 'static`. `&str`, `&[T]`, `&T` and `Option<&T>` are looked up without
/// a copy; the owned form is made on a miss.
///
/// Companions stand on a type of the function's name, with its visibility: `invalidate` and `peek` take its
/// arguments without the skipped ones (unless an id is made of them), `invalidate_scope` takes the ids of the path
/// (`impl ScopeId` for those of `ids(..)`, nothing for ambient ones), `stats` nothing.
///
/// Derive `Clone` for the error type where you can: a failed load is then everybody's answer. Without it one of those who
/// wait runs the function next, twice at most, and then each runs it for itself, four at a time.
///
/// No module and no other type of the function's name can stand beside it.
///
/// Methods (`&self`) and associated functions are cached inside an impl block with a plain `#[cached]` above it. Their
/// companions are associated functions: `monthly_invalidate`, `monthly_invalidate_scope`, `monthly_peek`,
/// `monthly_stats`.
///
/// Not yet: type and const parameters, impls of traits.
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
