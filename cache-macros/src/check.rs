//! Whether a function may be cached as written, and what that means: the only place where rules live.
//!
//! (1) All rules are asked, whatever the others said. (2) A parameter that gives an id of the path by its name is
//! not part of the key; every other is, unless skipped, or unless `key` says what the key is. (3) Nothing that borrows is
//! stored or returned.

mod ids;
mod key;
mod options;
mod types;

use proc_macro2::{Ident, Span};
use syn::{Expr, Path, ReceiverKind, Safety, Type, parse_quote};

use crate::args::{Args, Care, Coalesce, Companions, Max, Negative, WithoutScope};
use crate::faults::Faults;
use crate::item::{Function, Shape, speaks_of_its_type, uses};
use crate::options::Known;
use crate::template::Tag;
use crate::time::Time;

pub(crate) use ids::{Id, Place};
pub(crate) use key::Key;

/// A cached function that may be expanded.
pub(crate) struct Plan<'a> {
    pub(crate) function: &'a Function,
    pub(crate) krate: Path,
    pub(crate) levels: Vec<String>,
    pub(crate) place: Place,
    pub(crate) key: Key,
    /// The arguments that the companions `invalidate`, `peek` and `prime` take, by position.
    pub(crate) asked: Vec<usize>,
    pub(crate) receiver: Option<Expr>,
    pub(crate) returned: Type,
    pub(crate) site: SiteOptions,
    pub(crate) store: StoreOptions,
    /// None where the function has none.
    pub(crate) companions: Option<Name>,
    pub(crate) without_scope: WithoutScope,
    /// Where an option was written that makes the function return errors of the cache.
    pub(crate) refuses: Option<Span>,
    /// The run may go on without its caller.
    pub(crate) may_go_on: bool,
}

/// What counts for all calls alike.
pub(crate) struct SiteOptions {
    pub(crate) ttl: Option<Time>,
    pub(crate) idle: Option<Time>,
    pub(crate) jitter: Option<f64>,
    pub(crate) max: Option<Max>,
    pub(crate) weigh: Option<Expr>,
    pub(crate) coalesce: Option<Coalesce>,
    pub(crate) wait: Option<Time>,
    pub(crate) cache: Option<Expr>,
    pub(crate) care: Care,
}

/// What is asked when a value is to be stored.
pub(crate) struct StoreOptions {
    pub(crate) when: Option<Expr>,
    pub(crate) negative: Negative,
    /// Where `negative` was written.
    pub(crate) negative_span: Span,
    pub(crate) tags: Vec<Tag>,
}

/// What the companions are called by.
pub(crate) enum Name {
    /// The function's name: their type has it, or those of a method begin with it.
    Own,
    /// Another one.
    Given(Ident),
}

/// Asks all rules; the plan is whole if no fault was added.
pub(crate) fn check<'a>(args: Args, function: &'a Function, faults: &mut Faults) -> Option<Plan<'a>> {
    qualifiers(function, faults);
    receiver(&args, function, faults);
    options::together(&args, faults);
    options::apart_from_calls(&args, function, faults);
    options::tags(&args, function, faults);
    options::detached(&args, function, faults);
    types::returned(function, args.has(Known::Allow), faults);
    let place = ids::place(&args, function, faults);
    let ids: Vec<usize> = place.iter().flat_map(Place::arguments).collect();
    let left_out = key::left_out(&args, function, &ids, faults);
    let key = key::key(&args, function, &ids, &left_out, faults);
    for (at, argument) in function.args.iter().enumerate() {
        if let Some(attr) = argument.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
            faults
                .on(attr, "a cached function has the same arguments everywhere: no `#[cfg]` on one of them");
        }
        if matches!(&key, Some(Key::Arguments(key)) if key.contains(&at)) {
            types::argument(argument, faults);
        } else if ids.contains(&at) && matches!(argument.shape(), Shape::Exclusive) {
            faults.on(&argument.ty, "an id of the scope is read only: take it by value or `&`");
        }
    }
    let companions = companions(&args);
    let negative_span = args.span_of(Known::Negative).unwrap_or_else(Span::call_site);
    let refuses = args.span_of(Known::Hard).or_else(|| args.span_of(Known::Breaker));
    let may_go_on = options::may_go_on(&args).is_some();
    let (levels, place, key) = (args.levels?, place?, key?);
    let returned = function.returned().cloned().unwrap_or_else(|| parse_quote!(()));
    let used = |at: &usize| place.expressions().any(|id| uses(id, &function.args[*at].name));
    let in_key = |at: &usize| key.arguments().contains(at) || ids.contains(at);
    let asked = (0..function.args.len()).filter(|at| in_key(at) || used(at)).collect();
    let (without_scope, span) = args.without_scope.unwrap_or((WithoutScope::Bypass, levels.span));
    let says_why = (without_scope == WithoutScope::Error).then_some(span);
    let refuses = says_why.or(refuses);
    Some(Plan {
        function,
        krate: args.krate.unwrap_or_else(|| parse_quote!(::strata_cache)),
        levels: levels.names,
        key,
        asked,
        receiver: args.receiver.map(|(_, receiver)| receiver),
        place,
        returned,
        site: SiteOptions {
            ttl: args.ttl,
            idle: args.idle,
            jitter: args.jitter,
            max: args.max,
            weigh: args.weigh,
            coalesce: args.coalesce,
            wait: args.wait,
            cache: args.cache,
            care: args.care,
        },
        store: StoreOptions { when: args.when, negative_span, negative: args.negative, tags: args.tags },
        companions,
        without_scope,
        refuses,
        may_go_on,
    })
}

fn qualifiers(function: &Function, faults: &mut Faults) {
    let sig = &function.item.sig;
    if let Some(token) = &sig.constness {
        faults.on(token, "a `const fn` cannot be cached: a cache is not there at compile time");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        faults.on(
            token,
            "an `unsafe fn` cannot be cached: what its caller promised for one call does not hold for the stored \
             value; cache a safe function around it",
        );
    }
    if let Some(abi) = &sig.abi {
        faults.on(abi, "an `extern fn` cannot be cached; cache a Rust function and call that");
    }
    if let Some(variadic) = &sig.variadic {
        faults.on(variadic, "a variadic function cannot be cached");
    }
}

fn receiver(args: &Args, function: &Function, faults: &mut Faults) {
    const ANNOTATE: &str = "a method is cached inside an impl block that is annotated itself: write `#[cached]` \
                            above `impl`, and keep this attribute on the method (not in a trait: cache it in \
                            the impls, or a function that its default body calls)";
    let Some(receiver) = &function.receiver else {
        if let Some((span, _)) = &args.receiver {
            faults.at(*span, "`receiver` says what identifies `self`, and this function has no `self`");
        }
        if function.block.is_none() && speaks_of_its_type(&function.item) {
            faults.at(function.name().span(), ANNOTATE.replace("a method", "an associated function"));
        }
        return;
    };
    let shared = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => true,
        ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(ty) if ty.mutability.is_none()),
        _ => false,
    };
    if !shared {
        faults.on(
            receiver,
            "a cached method takes `&self`: a call that is served does not run, and moves nothing",
        );
    }
    if function.block.is_none() {
        faults.on(receiver, ANNOTATE);
    } else if !args.has(Known::Receiver) {
        faults.on(
            receiver,
            "what identifies `self`? write `receiver = self.id` (any expression that can be a key), or \
             `receiver = ()` if the result does not depend on it",
        );
    }
}

fn companions(args: &Args) -> Option<Name> {
    match &args.companions {
        None => Some(Name::Own),
        Some(Companions::Off) => None,
        Some(Companions::On(name)) => Some(Name::Given(name.clone())),
    }
}
