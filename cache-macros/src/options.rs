//! The options by name: how each is written, and which come alive in a later release.

/// An option that `args` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Scope,
    Ids,
    Ttl,
    Idle,
    Jitter,
    Max,
    Key,
    Skip,
    Receiver,
    When,
    Weigh,
    Negative,
    Tags,
    Coalesce,
    Wait,
    WithoutScope,
    Cache,
    Companions,
    Allow,
    Crate,
    Stale,
    Refresh,
    OnError,
    Soft,
    Hard,
    Throttle,
    Breaker,
    Limit,
}

/// `name = value` or `name(list)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Value,
    List,
    Either,
}

/// One option.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) known: Known,
    pub(crate) form: Form,
    pub(crate) example: &'static str,
    /// It is read and checked, and then refused.
    pub(crate) is_later: bool,
}

const fn value(name: &'static str, known: Known, example: &'static str) -> Entry {
    Entry { name, known, form: Form::Value, example, is_later: false }
}

const fn list(name: &'static str, known: Known, example: &'static str) -> Entry {
    Entry { name, known, form: Form::List, example, is_later: false }
}

const fn later(name: &'static str, known: Known, example: &'static str) -> Entry {
    Entry { name, known, form: Form::Value, example, is_later: true }
}

const OPTIONS: [Entry; 28] = [
    value("scope", Known::Scope, "scope = \"user\""),
    list("ids", Known::Ids, "ids(org = …)"),
    value("ttl", Known::Ttl, "ttl = \"5m\""),
    value("idle", Known::Idle, "idle = \"20m\""),
    value("jitter", Known::Jitter, "jitter = \"10%\""),
    value("max", Known::Max, "max = 1000"),
    value("key", Known::Key, "key = |query| query.normalized()"),
    list("skip", Known::Skip, "skip(db)"),
    value("receiver", Known::Receiver, "receiver = self.id"),
    value("when", Known::When, "when = |value| value.is_complete()"),
    value("weigh", Known::Weigh, "weigh = |value| value.len() as u64"),
    Entry {
        name: "negative",
        known: Known::Negative,
        form: Form::Either,
        example: "negative = \"30s\"",
        is_later: false,
    },
    list("tags", Known::Tags, "tags(\"plan:{plan}\")"),
    value("coalesce", Known::Coalesce, "coalesce = off"),
    value("wait", Known::Wait, "wait = \"2s\""),
    value("without_scope", Known::WithoutScope, "without_scope = bypass"),
    value("cache", Known::Cache, "cache = crate::CACHE"),
    value("companions", Known::Companions, "companions = off"),
    list("allow", Known::Allow, "allow(unit)"),
    value("crate", Known::Crate, "crate = ::renamed"),
    value("stale", Known::Stale, "stale = \"30s\""),
    value("on_error", Known::OnError, "on_error = stale(\"1h\")"),
    value("refresh", Known::Refresh, "refresh = 0.8"),
    value("soft", Known::Soft, "soft = \"200ms\""),
    value("hard", Known::Hard, "hard = \"5s\""),
    value("throttle", Known::Throttle, "throttle = \"1s\""),
    Entry {
        name: "breaker",
        known: Known::Breaker,
        form: Form::Either,
        example: "breaker = 5",
        is_later: false,
    },
    later("limit", Known::Limit, "limit = 8"),
];

/// The option of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The names of the options that work.
pub(crate) fn usable() -> impl Iterator<Item = &'static str> + Clone {
    OPTIONS.iter().filter(|option| !option.is_later).map(|option| option.name)
}
