//! Rules about options: which of them exclude each other, and what they may be made of.
//!
//! (1) What counts for all calls is made of no call's arguments. (2) A tag names parameters only.

use syn::ext::IdentExt;

use super::key::or_names;
use super::types;
use crate::args::{Args, Coalesce, Max};
use crate::faults::Faults;
use crate::item::{Function, Shape};
use crate::options::Known;
use crate::time::Time;

/// Options that cannot stand together.
pub(super) fn together(args: &Args, faults: &mut Faults) {
    let mut refuse = |option: Known, message: &str| {
        if let Some(span) = args.span_of(option) {
            faults.at(span, message);
        }
    };
    if args.has(Known::Key) {
        refuse(
            Known::Skip,
            "`key` says what the key is made of, and leaves out whatever it does not name: leave `skip` out",
        );
    }
    if matches!(args.coalesce, Some(Coalesce::Off)) {
        refuse(
            Known::Wait,
            "with `coalesce = off` no call waits for another one: leave `wait` out, or write `coalesce = on`",
        );
    }
    if matches!(args.ttl, Some(Time::Never)) {
        let message = "an entry without an end has no time of which a part could be taken: leave it out, or give `ttl` an end";
        refuse(Known::Jitter, &format!("`jitter` shortens `ttl`: {message}"));
        refuse(Known::Stale, "`stale` begins where `ttl` ends: give `ttl` an end");
        refuse(Known::Refresh, "`refresh` is a part of `ttl`: give `ttl` an end");
    }
    let after = |option| {
        args.later.iter().find_map(|(known, time)| match time {
            Time::After(time) if *known == option => Some(*time),
            _ => None,
        })
    };
    if let (Some(soft), Some(hard)) = (after(Known::Soft), after(Known::Hard))
        && soft >= hard
    {
        refuse(
            Known::Soft,
            "`soft` is the time after which a stale value will do: shorter than `hard`, which ends the load",
        );
    }
}

/// What counts for all calls alike.
pub(super) fn apart_from_calls(args: &Args, function: &Function, faults: &mut Faults) {
    let given = |time: &Option<Time>| match time {
        Some(Time::Given(value)) => Some((**value).clone()),
        _ => None,
    };
    let max = match &args.max {
        Some(Max::Given(value)) => Some(value.clone()),
        _ => None,
    };
    let all = [
        ("ttl", given(&args.ttl)),
        ("idle", given(&args.idle)),
        ("wait", given(&args.wait)),
        ("negative", given(&args.negative.none)),
        ("negative", given(&args.negative.err)),
        ("max", max),
        ("cache", args.cache.clone()),
    ];
    for (option, value) in all {
        if let Some(value) = value
            && let Some(name) = function.mentioned(&value)
        {
            faults.on(
                &value,
                format!("`{option}` is found once for all calls, and `{name}` is another one in each of them: name a constant, a static or a function"),
            );
        }
    }
}

/// A run that goes on without its caller takes along what it needs.
pub(super) fn detached(args: &Args, function: &Function, faults: &mut Faults) {
    let Some(Coalesce::Detached(span)) = args.coalesce else { return };
    if !function.is_async() {
        faults.at(
            span,
            "the caller of a sync function cannot go away before it has ended: `detached` is for `async fn`, leave it out",
        );
        return;
    }
    if function.block.as_ref().is_some_and(|block| block.of.is_some()) {
        faults.at(
            span,
            "a detached run has its body beside the impl, where a trait's has no place: cache a method of the type, and call that",
        );
    }
    for argument in &function.args {
        let title = argument.title();
        if matches!(argument.shape(), Shape::Exclusive) {
            faults.on(
                &argument.ty,
                format!("a detached run may outlive its caller, and `{title}` is lent to it: take it owned, or an `Arc<Mutex<_>>`"),
            );
        } else if types::borrows_inside(argument) {
            faults.on(
                &argument.ty,
                format!("a detached run may outlive its caller, and `{title}` borrows inside its type: take it owned"),
            );
        }
    }
}

/// Tags name parameters.
pub(super) fn tags(args: &Args, function: &Function, faults: &mut Faults) {
    for tag in &args.tags {
        for name in &tag.names {
            if function.position(name).is_some() {
                continue;
            }
            let bound = function.args.iter().any(|arg| arg.bindings.contains(name));
            let message = if bound {
                format!(
                    "`{name}` is bound by a pattern, and tags are made before arguments are taken apart: give the argument a name"
                )
            } else {
                format!(
                    "the tag names `{}`, and no parameter is called so{}",
                    name.unraw(),
                    or_names(&name.unraw(), function)
                )
            };
            faults.at(tag.text.span(), message);
        }
    }
}
