//! Rules about options: which of them exclude each other, and what they may be made of.
//!
//! (1) What counts for all calls is made of no call's arguments. (2) A tag names parameters only.

use proc_macro2::Span;
use syn::ext::IdentExt;

use super::key::or_names;
use super::types;
use crate::args::{Args, Care, Coalesce, Max, OnError};
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
        refuse(Known::OnError, "a value is stale where `ttl` ends: give `ttl` an end");
        refuse(Known::Refresh, "`refresh` is a part of `ttl`: give `ttl` an end");
    }
    let Care { stale, on_error, soft, hard, .. } = &args.care;
    let after = |time: &Option<Time>| if let Some(Time::After(time)) = time { Some(*time) } else { None };
    if let (Some(soft), Some(hard)) = (after(soft), after(hard))
        && soft >= hard
    {
        refuse(
            Known::Soft,
            "`soft` is the time after which a stale value will do: shorter than `hard`, which ends the wait",
        );
    }
    // One that was written in fault is there, and was told of.
    if soft.is_some() && !args.has(Known::OnError) {
        refuse(
            Known::Soft,
            "`soft` is how long a call waits where a stale value is there: say for how long that is with `on_error = stale(\"1h\")`",
        );
    }
    if let (Some(OnError::For(Time::After(on_error))), Some(stale)) = (on_error, after(stale))
        && soft.is_some()
        && *on_error <= stale
    {
        refuse(
            Known::Soft,
            "a value within `stale` is served at once, and never waited for: make `on_error` longer than that, or leave `soft` out",
        );
    }
    let is_kept = [Known::Stale, Known::OnError, Known::Refresh].into_iter().any(|option| args.has(option));
    if args.care.throttle.is_some() && !is_kept {
        refuse(
            Known::Throttle,
            "`throttle` is how soon a stale value is tried to be loaded anew: it comes with `stale`, `on_error` or `refresh`",
        );
    }
    if args.idle.is_some() {
        let message =
            "a value that goes when it is unused is not kept past its time: leave `idle` out, or this";
        [Known::Stale, Known::OnError, Known::Refresh].into_iter().for_each(|option| refuse(option, message));
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
    let on_error = match &args.care.on_error {
        Some(OnError::For(Time::Given(value))) => Some((**value).clone()),
        _ => None,
    };
    let all = [
        ("ttl", given(&args.ttl)),
        ("idle", given(&args.idle)),
        ("wait", given(&args.wait)),
        ("stale", given(&args.care.stale)),
        ("on_error", on_error),
        ("soft", given(&args.care.soft)),
        ("hard", given(&args.care.hard)),
        ("throttle", given(&args.care.throttle)),
        ("breaker", args.care.breaker.as_ref().and_then(|breaker| given(&breaker.cool_down))),
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

/// A run that may go on without its caller takes along what it needs.
pub(super) fn detached(args: &Args, function: &Function, faults: &mut Faults) {
    let mut goes_on = may_go_on(args);
    if let Some(Coalesce::Detached(span)) = args.coalesce
        && !function.is_async()
        && !args.has(Known::Hard)
    {
        faults.at(
            span,
            "the caller of a sync function cannot go away before it has ended: `detached` is for `async fn`, or with `hard`, after which it can; leave it out",
        );
        goes_on = in_the_background(args);
    }
    let Some((what, span)) = goes_on else { return };
    if function.block.as_ref().is_some_and(|block| block.of.is_some()) {
        faults.at(
            span,
            format!("{what} has its body beside the impl, where a trait's has no place: cache a method of the type, and call that"),
        );
    }
    for argument in &function.args {
        let title = argument.title();
        if matches!(argument.shape(), Shape::Exclusive) {
            faults.on(
                &argument.ty,
                format!("{what} may outlive its caller, and `{title}` is lent to it: take it owned, or an `Arc<Mutex<_>>`"),
            );
        } else if types::borrows_inside(argument) {
            faults.on(
                &argument.ty,
                format!(
                    "{what} may outlive its caller, and `{title}` borrows inside its type: take it owned"
                ),
            );
        }
    }
}

/// The run that may go on without its caller, and where that was said.
pub(super) fn may_go_on(args: &Args) -> Option<(&'static str, Span)> {
    if let Some(Coalesce::Detached(span)) = args.coalesce {
        return Some(("a detached run", span));
    }
    in_the_background(args)
}

fn in_the_background(args: &Args) -> Option<(&'static str, Span)> {
    let options = [Known::Stale, Known::Refresh, Known::Soft];
    let span = options.into_iter().find_map(|option| args.span_of(option));
    span.map(|span| ("a run in the background", span))
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
