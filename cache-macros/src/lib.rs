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
mod template;
mod time;

#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use syn::Item;

use args::Args;
use faults::Faults;
use item::Function;

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
/// | `idle = "20m"` | how long a value stays without a look-up, never beyond `ttl` | as long as `ttl` |
/// | `jitter = "10%"`, `0.1`, `off` | by how much of its `ttl` a value may be short, each by a part of its own, so that not all expire together | 5 %; none where the cache has a clock of its own, as in tests |
/// | `max = 1000` | most entries of this function in one scope; a number or a constant | the cache's |
/// | `skip(db, log)` | parameters that are not part of the key | |
/// | `key = \|query, page\| (query.normalized(), *page)` | what the key is, in place of all parameters but ids; those it names are borrowed | |
/// | `receiver = self.id` | what identifies `self`, or `()` if nothing needs to; methods only | none: it is written |
/// | `when = \|value\| value.is_complete()` | only values that pass are stored; all are served | all |
/// | `negative = "30s"` | time-to-live of `None`, alone or in `Ok` | that of any value |
/// | `negative(none = "30s", err = "5s")` | also that of errors, which are stored then and handed out as clones | errors are not stored |
/// | `weigh = \|value\| value.len() as u64` | what a value weighs | the size of its type and its key's |
/// | `tags("plan:{plan}", global("prices"))` | names by which values can be withdrawn together; in braces the names of parameters | none |
/// | `coalesce = off` | each call runs the function for itself, and one of those that run at once stores | `on`: one runs, the others wait |
/// | `coalesce = detached` | an async function's run goes on if its caller goes away, and is stored: as a task of the Tokio runtime that the caller is on (feature `tokio`), else on one of a few threads. Skipped parameters and `self` are `Clone + Send + 'static` if they are borrowed. Of a sync function only with `hard`: the run is on a thread of the library's, and goes on if its caller goes | it ends with its caller, and one who waits runs the function next |
/// | `wait = "2s"` | the longest that a call waits for another one; then it runs the function for itself, and stores nothing | while that one runs |
/// | `stale = "30s"` | past its `ttl` a value is served at once for so long, and loaded anew in the background, once for all. That run takes its arguments along as a detached one does, also of a sync function, and also with `refresh` and `soft` | it is over |
/// | `on_error = stale`, `stale("1h")` | an error of the function, or a time-out, is answered with the value that is past its `ttl`, as long again as that or for so long; then nobody tries again for the time of `throttle` | the error is returned |
/// | `refresh = 0.8`, `"80%"` | after this part of its `ttl` a value is loaded anew in the background, if somebody asks for it | it is loaded when it is over |
/// | `refresh = early`, `early(2.0)` | the same by chance, sooner where a load takes long, so that not all load together; sooner still with a larger number | |
/// | `soft = "200ms"` | with `on_error`: where a value is kept, a call waits so long for a fresh one, and takes that; the load goes on in the background | it waits for the load |
/// | `hard = "5s"` | how long a call waits at all; then it returns an error (`E: From<strata_cache::Error>`, `ErrorKind::TimedOut`), or what is kept. An async run is dropped, with `coalesce = detached` it goes on. A sync one ends by itself, and the others are told; with `coalesce = detached` its own caller too | as long as it takes |
/// | `throttle = "1s"` | after a load that failed, or was begun in the background, how soon a kept value is tried again | 1 s |
/// | `breaker = 5`, `breaker(failures = 5, cool_down = "10s")` | after so many failures in a row, of whatever calls, no run is begun for so long; a call returns an error (`E: From<strata_cache::Error>`, `ErrorKind::BreakerOpen`), or what is kept. Then one run tries | none; 10 s |
/// | `without_scope = bypass` | without a scope that resolves (no ambient scope, a level that the installed tree lacks, an empty id): `bypass` runs it uncached, counts it in `stats().bypassed` and logs it once, `error` returns an error (`E: From<strata_cache::Error>`), `panic` panics | `bypass` |
/// | `cache = crate::CACHE` | the cache: a static, whatever it hides behind, or a call without arguments of this one | the installed one, or the default one |
/// | `companions = off`, `= name` | no companions, or another name for them, where the function's is taken: that of their type, or what those of a method begin with | the function's |
/// | `allow(unit)` | that there is no value: it runs once | refused |
/// | `crate = ::renamed` | where strata-cache is | `::strata_cache` |
///
/// Known and not yet available: `limit`.
///
/// Arguments are `Hash + Eq + Clone + Send + Sync + 'static`. `&str`, `&[T]`, `&T` and `Option<&T>` are looked up without
/// a copy; the owned form is made on a miss.
///
/// A function that returns a type parameter, or an associated type, stores it whole, also where that turns out to be a `Result`.
///
/// Of a generic function each instance has entries and statistics of its own, told apart by all its type and const parameters,
/// which therefore are `'static`; a skipped `impl Trait` has no name and does not count.
///
/// Companions stand on a type of the function's name, with its visibility. Those that do not run the function take its arguments
/// without what is left out of the key (unless an id is made of it): `invalidate`; `peek`, which runs, counts and touches nothing;
/// `prime`, which takes what the function is to have returned as well. `invalidate_scope` takes the ids of the path (`impl ScopeId`
/// for those of `ids(..)`, nothing for ambient ones), `stats` nothing. Those that run it take all arguments: `refresh`, whose value
/// takes the place of what is stored, `uncached`, which neither looks nor stores, and, with `stale` or `on_error`, `marked`, which says
/// whether the answer is past its time. Where loads are cared for (`stale` … `breaker`), `explain` says how a value stands, and why.
///
/// Derive `Clone` for the error type where you can: a failed load is then everybody's answer. Without it one of those who
/// wait runs the function next, twice at most, and then each runs it for itself, four at a time.
///
/// No module and no other type of the function's name can stand beside it: give the companions another with `companions = name`.
///
/// Methods (`&self`) and associated functions are cached inside an impl block with a plain `#[cached]` above it, of a type or of a
/// trait for a type. Their companions are associated functions of the type: `monthly_invalidate`, `monthly_invalidate_scope`,
/// `monthly_peek`, `monthly_prime`, `monthly_refresh`, `monthly_uncached`, `monthly_stats`. Where the type is another crate's there
/// can be none: write `#[cached(companions = off)]` above the impl.
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
    let function = Function::new(item, None);
    let plan = check::check(args, &function, &mut faults);
    match plan {
        Some(plan) if faults.is_empty() => expand::function(&plan),
        _ => faults.beside(fallback::function(&function)),
    }
}
