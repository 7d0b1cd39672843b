//! The options by name: those that work, how each is written, and those of later releases.

/// An option that `args` reads; all of later releases are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Scope,
    Ids,
    Ttl,
    Max,
    Skip,
    Receiver,
    WithoutScope,
    Crate,
    Later,
}

/// `name = value` or `name(list)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Value,
    List,
}

/// One option.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) known: Known,
    pub(crate) form: Form,
    pub(crate) example: &'static str,
}

const fn entry(name: &'static str, known: Known, form: Form, example: &'static str) -> Entry {
    Entry { name, known, form, example }
}

const OPTIONS: [Entry; 24] = [
    entry("scope", Known::Scope, Form::Value, "scope = \"user\""),
    entry("ids", Known::Ids, Form::List, "ids(org = …)"),
    entry("ttl", Known::Ttl, Form::Value, "ttl = \"5m\""),
    entry("max", Known::Max, Form::Value, "max = 1000"),
    entry("skip", Known::Skip, Form::List, "skip(db)"),
    entry("receiver", Known::Receiver, Form::Value, "receiver = self.id"),
    entry("without_scope", Known::WithoutScope, Form::Value, "without_scope = bypass"),
    entry("crate", Known::Crate, Form::Value, "crate = ::renamed"),
    later("stale"),
    later("refresh"),
    later("on_error"),
    later("soft"),
    later("hard"),
    later("limit"),
    later("tags"),
    later("key"),
    later("when"),
    later("weigh"),
    later("negative"),
    later("jitter"),
    later("idle"),
    later("coalesce"),
    later("wait"),
    later("cache"),
];

const fn later(name: &'static str) -> Entry {
    entry(name, Known::Later, Form::Value, "")
}

/// The option of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The names of the options that work.
pub(crate) fn usable() -> impl Iterator<Item = &'static str> + Clone {
    OPTIONS.iter().filter(|option| option.known != Known::Later).map(|option| option.name)
}
