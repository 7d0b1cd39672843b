//! The stages on token streams: what is refused, all at once and in these words, and that the rest expands.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;

use crate::attribute;

mod care;

/// The messages of the faults, in order.
fn faults(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_error = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => after_error = ident == "compile_error",
            TokenTree::Group(group) if after_error && group.delimiter() == Delimiter::Brace => {
                let text: syn::LitStr = syn::parse2(group.stream()).expect("a message");
                found.push(text.value());
                after_error = false;
            }
            TokenTree::Group(group) => found.extend(faults(group.stream())),
            _ => {}
        }
    }
    found
}

/// The faults of options on a function of an org that has a `name` and a `db`.
fn options(args: TokenStream) -> Vec<String> {
    faults(attribute(
        args,
        quote!(
            fn load(org_id: u64, name: &str, db: &Db) -> String {
                body()
            }
        ),
    ))
}

/// The faults of a function that is cached per org.
fn function(item: TokenStream) -> Vec<String> {
    faults(attribute(quote!(scope = "org"), item))
}

#[track_caller]
fn says(faults: Vec<String>, expected: &[&str]) {
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{fault:?} does not say {expected:?}");
    }
}

#[test]
fn attribute_without_a_scope_asks_for_one() {
    says(options(quote!()), &["`#[cached]` needs a scope"]);
    says(options(quote!(ttl = 5)), &["`#[cached]` needs a scope"]);
}

#[test]
fn faults_of_all_options_and_arguments_come_at_once() {
    let args = quote!(scope = "usr", tll = 5, ttl = 0, max = 0, skip(dbb), limit = 8, without_scope = globl);
    let item = quote!(
        const fn load(x: f64, y: &mut u8) {}
    );
    says(
        faults(attribute(args, item)),
        &[
            "unknown scope `usr`; did you mean `user`?",
            "unknown option `tll`; did you mean `ttl`?",
            "`ttl` must be greater than zero",
            "`max` must be greater than zero",
            "`limit` is not yet available",
            "unknown `without_scope = globl`",
            "a `const fn` cannot be cached",
            "returns nothing that could be cached",
            "no parameter is called `dbb`",
            "floats are not equal to themselves",
            "`&mut` cannot be part of a key",
        ],
    );
}

#[test]
fn options_in_the_wrong_form_show_the_right_one() {
    says(options(quote!(scope("org"))), &["write `scope = \"user\"`"]);
    says(options(quote!(scope = org)), &["`scope` is text"]);
    says(options(quote!(scope = "org", skip = db)), &["write `skip(db)`"]);
    says(options(quote!(scope = "org", ttl)), &["write `ttl = \"5m\"`"]);
    says(options(quote!(scope = "org", skip())), &["`skip()` names nothing"]);
    says(options(quote!(scope = "org", ids())), &["`ids()` names nothing"]);
    says(options(quote!(scope = "org", crate = "renamed")), &["`crate` is a path"]);
    says(options(quote!(scope = "org", without_scope = "panic")), &["without quotes"]);
    says(options(quote!(scope = "org", 5, skip(db))), &["expected the name of an option"]);
    says(options(quote!(scope = "org" ttl = 5, tll = 5)), &["expected `,`", "unknown option `tll`"]);
}

#[test]
fn option_written_twice_is_refused_at_the_second() {
    says(options(quote!(scope = "org", ttl = 5, ttl = "never")), &["`ttl` is written twice"]);
    says(options(quote!(scope = "org", scope = "user")), &["`scope` is written twice"]);
    says(options(quote!(scope = "org", skip(db), skip(name))), &["`skip` is written twice"]);
    says(options(quote!(scope = "org", skip(db, db))), &["`db` is skipped twice"]);
}

#[test]
fn option_of_a_later_release_is_checked_and_named_as_such() {
    says(options(quote!(scope = "org", limit = 8)), &["`limit` is not yet available"]);
    says(options(quote!(scope = "org", limit = LOADS)), &["`limit` is not yet available"]);
    says(options(quote!(scope = "org", limit = 0)), &["1 at least"]);
    says(options(quote!(scope = "org", limit("8"))), &["write `limit = 8`"]);
    says(
        options(quote!(scope = "org", limit = 8, limit = 9)),
        &["`limit` is not yet available", "`limit` is written twice"],
    );
}

#[test]
fn times_of_all_options_are_read_alike() {
    for option in ["idle", "wait", "stale", "hard"] {
        let name = quote::format_ident!("{option}");
        says(options(quote!(scope = "org", #name = 0)), &[&format!("`{option}` must be greater than zero")]);
        says(options(quote!(scope = "org", #name = "never")), &[&format!("`{option}` has an end")]);
        says(options(quote!(scope = "org", #name = "x")), &["cannot read `x` as a time"]);
        says(options(quote!(scope = "org", #name = 1.5)), &[&format!("`{option}` is whole seconds")]);
        says(options(quote!(scope = "org", #name = "5m")), &[]);
        says(options(quote!(scope = "org", #name = TIME)), &[]);
    }
    says(options(quote!(scope = "org", negative = "0s")), &["`negative` must be greater than zero"]);
    says(options(quote!(scope = "org", negative(none = "never", err = 5))), &[]);
    says(
        options(quote!(scope = "org", negative(error = 5))),
        &["`negative` knows no `error`; did you mean `err`?"],
    );
    says(options(quote!(scope = "org", negative(err = 5, err = 6))), &["`err` is written twice"]);
    says(options(quote!(scope = "org", negative())), &["`negative()` says nothing"]);
}

#[test]
fn jitter_is_a_part() {
    for part in [quote!("10%"), quote!(0.1), quote!(0), quote!(off), quote!("0%")] {
        says(options(quote!(scope = "org", jitter = #part)), &[]);
    }
    for none in
        [quote!("100%"), quote!(1.0), quote!(1), quote!("10"), quote!(-0.1), quote!(on), quote!("NaN%")]
    {
        says(options(quote!(scope = "org", jitter = #none)), &["at least 0 and below 1"]);
    }
}

#[test]
fn key_names_parameters_and_nothing_else() {
    says(options(quote!(scope = "org", key = |name| name.len())), &[]);
    says(options(quote!(scope = "org", key = |org_id, name| (org_id, name))), &[]);
    says(options(quote!(scope = "org", key = name)), &["names the parameters that it is made of"]);
    says(
        options(quote!(scope = "org", key = |nam| 1)),
        &["no parameter is called `nam`; did you mean `name`?"],
    );
    says(options(quote!(scope = "org", key = |name, name| 1)), &["`name` is named twice"]);
    says(options(quote!(scope = "org", key = |(name, db)| 1)), &["write the name of a parameter alone"]);
    says(options(quote!(scope = "org", key = |name: &str| 1)), &["write the name of a parameter alone"]);
    says(options(quote!(scope = "org", key = || 1)), &["made of no parameter"]);
    says(options(quote!(scope = "org", key = |name| name, skip(db))), &["leave `skip` out"]);
}

#[test]
fn options_that_exclude_each_other_are_refused_together() {
    says(options(quote!(scope = "org", coalesce = off, wait = "1s")), &["leave `wait` out"]);
    says(options(quote!(scope = "org", coalesce = on, wait = "1s")), &[]);
    says(options(quote!(scope = "org", ttl = "never", jitter = "1%")), &["`jitter` shortens `ttl`"]);
    says(options(quote!(scope = "org", coalesce = never)), &["unknown `coalesce = never`"]);
}

#[test]
fn detached_run_is_async_and_owns_what_it_needs() {
    let detached = |item| faults(attribute(quote!(scope = "org", coalesce = detached, skip(x)), item));
    says(
        detached(quote!(
            fn f(org_id: u64, x: u8) -> u8 {
                1
            }
        )),
        &["`detached` is for `async fn`"],
    );
    says(
        detached(quote!(
            async fn f(org_id: u64, x: &mut u8) -> u8 {
                1
            }
        )),
        &["`x` is lent to it"],
    );
    says(
        detached(quote!(
            async fn f(org_id: u64, x: Context<'_>) -> u8 {
                1
            }
        )),
        &["`x` borrows inside its type"],
    );
    for ty in [quote!(&Pool), quote!(Pool), quote!(Option<&str>), quote!(&[u8]), quote!(&&str)] {
        says(detached(quote!(async fn f(org_id: u64, x: #ty) -> u8 { 1 })), &[]);
    }
}

#[test]
fn what_counts_for_all_calls_is_made_of_no_argument() {
    for option in [
        quote!(ttl = ttl_of(name)),
        quote!(idle = idle_of(name)),
        quote!(max = name.len()),
        quote!(cache = db.cache),
        quote!(negative = ttl_of(name)),
        quote!(wait = wait_of(name)),
        quote!(stale = time_of(name)),
        quote!(on_error = stale(time_of(name))),
        quote!(hard = time_of(name)),
        quote!(breaker(failures = 5, cool_down = time_of(name))),
    ] {
        says(options(quote!(scope = "org", #option)), &["is found once for all calls"]);
    }
    says(options(quote!(scope = "org", ttl = TTL, max = MAX, cache = crate::CACHE)), &[]);
}

#[test]
fn tag_names_parameters_and_is_a_good_tag() {
    says(options(quote!(scope = "org", tags("plan:{name}", global("prices"), "plain"))), &[]);
    says(
        options(quote!(scope = "org", tags("{nme}"))),
        &["the tag names `nme`, and no parameter is called so; did you mean `name`?"],
    );
    says(options(quote!(scope = "org", tags("{}"))), &["`{}` is not the name of a parameter"]);
    says(options(quote!(scope = "org", tags("{name"))), &["a `{` without its `}`"]);
    says(options(quote!(scope = "org", tags("name}"))), &["a `}` without its `{`"]);
    says(options(quote!(scope = "org", tags(""))), &["a tag is not empty"]);
    says(options(quote!(scope = "org", tags("a\nb"))), &["no control characters"]);
    says(
        options(quote!(scope = "org", tags("", "{}", name, "fine"))),
        &["not empty", "`{}` is not the name", "a tag is text"],
    );
    says(options(quote!(scope = "org", tags())), &["`tags()` names nothing"]);
    says(options(quote!(scope = "org", tags("a", "a"))), &["written twice"]);
    says(options(quote!(scope = "org", tags("a", global("a")))), &[]);
    says(options(quote!(scope = "org", tags(name))), &["a tag is text"]);
    let long = "x".repeat(257);
    says(options(quote!(scope = "org", tags(#long))), &["at most 256 bytes"]);
    let many: Vec<_> = (0..17).map(|n| n.to_string()).collect();
    says(options(quote!(scope = "org", tags(#(#many),*))), &["at most 16 tags"]);
    let pattern = quote!(
        fn f(org_id: u64, (a, b): (u8, u8)) -> u8 {
            1
        }
    );
    says(faults(attribute(quote!(scope = "org", tags("{a}")), pattern)), &["is bound by a pattern"]);
}

#[test]
fn companions_have_a_name_or_none() {
    says(options(quote!(scope = "org", companions = off)), &[]);
    says(options(quote!(scope = "org", companions = loading)), &[]);
    says(options(quote!(scope = "org", companions = "loading")), &["write `companions = off`"]);
    let block =
        quote!(impl Reports { #[cached(scope = "org", companions = other)] fn f(org_id: u64) -> u8 { 1 } });
    says(faults(attribute(quote!(), block.clone())), &[]);
    assert!(attribute(quote!(), block).to_string().contains("fn other_invalidate"));
    says(options(quote!(scope = "org", allow(nothing))), &["nothing to allow is called `nothing`"]);
    says(options(quote!(scope = "org", allow())), &["`allow()` allows nothing"]);
}

#[test]
fn unknown_option_lists_what_is_known_where_nothing_is_near() {
    says(
        options(quote!(scope = "org", expires = 5)),
        &["unknown option `expires`; known: `scope`, `ids`, `ttl`"],
    );
}

#[test]
fn ttl_that_is_no_time_is_refused() {
    says(options(quote!(scope = "org", ttl = 0)), &["greater than zero"]);
    says(options(quote!(scope = "org", ttl = -5)), &["greater than zero"]);
    says(options(quote!(scope = "org", ttl = "0s")), &["greater than zero"]);
    says(options(quote!(scope = "org", ttl = 0.5)), &["whole seconds"]);
    says(options(quote!(scope = "org", ttl = "soon")), &["cannot read `soon` as a time"]);
    says(options(quote!(scope = "org", ttl = never)), &["write `ttl = \"never\"`"]);
    says(options(quote!(scope = "org", ttl = 99999999999)), &["longer than 500 years"]);
    for good in
        [quote!(600), quote!("5m"), quote!("never"), quote!(config::TTL), quote!(Duration::from_secs(5))]
    {
        says(options(quote!(scope = "org", ttl = #good)), &[]);
    }
}

#[test]
fn max_that_is_no_count_is_refused() {
    says(options(quote!(scope = "org", max = 0)), &["greater than zero"]);
    says(options(quote!(scope = "org", max = -1)), &["greater than zero"]);
    says(options(quote!(scope = "org", max = "1000")), &["`max` is a number"]);
    says(options(quote!(scope = "org", max = 99999999999999999999)), &["does not fit"]);
    says(options(quote!(scope = "org", max = LIMIT * 2)), &[]);
}

#[test]
fn scope_that_is_no_path_is_refused() {
    says(
        options(quote!(scope = "tenant")),
        &["unknown scope `tenant`; a single name is a level of the default tree"],
    );
    says(options(quote!(scope = "")), &["unknown scope ``"]);
    says(options(quote!(scope = "tenant//project")), &["has an empty level"]);
    says(options(quote!(scope = "tenant/global")), &["not written in a path"]);
    says(options(quote!(scope = "tenant/tenant")), &["written twice"]);
    says(options(quote!(scope = "tenant/a b")), &["has a separator"]);
    let deep = (0..17).map(|i| format!("l{i}")).collect::<Vec<_>>().join("/");
    says(options(quote!(scope = #deep)), &["at most 16 levels"]);
    says(options(quote!(scope = "/org")), &[]);
}

#[test]
fn level_without_an_id_is_named_with_all_ways_to_give_one() {
    let item = quote!(
        fn load(user_id: u64) -> String {
            body()
        }
    );
    let faults = faults(attribute(quote!(scope = "session"), item));
    says(
        faults,
        &[
            "scope `session` needs an id for `org`: add a parameter `org_id`, write `ids(org = …)`, or `ids(ambient)`",
            "scope `session` needs an id for `session`: add a parameter `session_id`",
        ],
    );
    let pattern = quote!(
        fn load(Path(org_id): Path<u64>) -> String {
            body()
        }
    );
    says(function(pattern), &["the `org_id` inside a pattern is not a parameter"]);
}

#[test]
fn ids_that_are_not_on_the_path_are_refused() {
    says(
        options(quote!(scope = "org", ids(user = db.user))),
        &["scope `org` has no level `user` on its path"],
    );
    says(
        options(quote!(scope = "org", ids(ogr = db.org))),
        &["has no level `ogr` on its path; did you mean `org`?"],
    );
    says(options(quote!(scope = "org", ids(org = 1u64, org = 2u64))), &["the id of `org` is written twice"]);
    says(options(quote!(scope = "org", ids(ambient, org = 2u64))), &["cannot be mixed"]);
    says(options(quote!(scope = "org", ids(name))), &["write `name = …`"]);
    says(options(quote!(scope = "global", ids(org = 1u64))), &["`global` needs no ids"]);
    says(options(quote!(scope = "global", ids(ambient))), &["`global` needs no ids"]);
    let pattern = quote!(
        fn load((a, b): (u64, u64)) -> String {
            body()
        }
    );
    says(faults(attribute(quote!(scope = "org", ids(org = a)), pattern)), &["`a` is bound by a pattern"]);
    let hyphen = quote!(scope = "my-team/project", ids(project = 1u64));
    says(options(hyphen), &["which is not a Rust name: write `ids(ambient)`"]);
}

#[test]
fn skip_of_what_is_not_there_or_not_needed_is_refused() {
    says(options(quote!(scope = "org", skip(nam))), &["no parameter is called `nam`; did you mean `name`?"]);
    says(options(quote!(scope = "org", skip(org_id))), &["`org_id` is an id of the scope"]);
    let pattern = quote!(
        fn load(org_id: u64, (a, b): (u64, u64)) -> String {
            body()
        }
    );
    let half = faults(attribute(quote!(scope = "org", skip(a)), pattern.clone()));
    says(half, &["`a` is one pattern with `b`: skip both or neither"]);
    says(faults(attribute(quote!(scope = "org", skip(a, b)), pattern)), &[]);
}

#[test]
fn function_that_cannot_be_cached_is_refused_under_its_qualifier() {
    says(
        function(quote!(
            const fn f(org_id: u64) -> u8 {
                1
            }
        )),
        &["a `const fn` cannot be cached"],
    );
    says(
        function(quote!(
            unsafe fn f(org_id: u64) -> u8 {
                1
            }
        )),
        &["an `unsafe fn` cannot be cached"],
    );
    says(
        function(quote!(
            extern "C" fn f(org_id: u64) -> u8 {
                1
            }
        )),
        &["an `extern fn` cannot be cached"],
    );
    says(
        function(quote!(
            fn f<T, const N: usize>(org_id: u64) -> u8 {
                1
            }
        )),
        &[],
    );
    says(
        function(quote!(
            fn f<'a>(org_id: u64, a: &'a str) -> u8 {
                1
            }
        )),
        &[],
    );
    says(
        function(quote!(
            struct F;
        )),
        &["goes on a function with a body"],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> u8;
        )),
        &["goes on a function with a body"],
    );
}

#[test]
fn return_type_that_cannot_be_stored_is_refused() {
    says(
        function(quote!(
            fn f(org_id: u64) {}
        )),
        &["`f` returns nothing"],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> () {}
        )),
        &["`f` returns nothing"],
    );
    says(
        faults(attribute(
            quote!(scope = "org", allow(unit)),
            quote!(
                fn f(org_id: u64) {}
            ),
        )),
        &[],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> ! {
                panic!()
            }
        )),
        &["`f` never returns"],
    );
    for future in [
        quote!(impl Future<Output = u8> + Send),
        quote!(Pin<Box<dyn Future<Output = u8>>>),
        quote!(futures::future::BoxFuture<'static, u8>),
    ] {
        says(function(quote!(fn f(org_id: u64) -> #future { f() })), &["a future is no value"]);
    }
    says(
        function(quote!(
            fn f(org_id: u64) -> impl Clone {
                1
            }
        )),
        &["a cached value has a type with a name"],
    );
    says(
        function(quote!(
            fn f(org_id: u64, a: &str) -> &str {
                a
            }
        )),
        &["cannot return what it borrows"],
    );
    says(
        function(quote!(
            fn f<'a>(org_id: u64, a: &'a str) -> Cow<'a, str> {
                a
            }
        )),
        &["cannot return what it borrows"],
    );
    says(
        function(quote!(
            fn f(org_id: u64, a: &str) -> Option<&str> {
                a
            }
        )),
        &["cannot return what it borrows"],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> &'static str {
                "a"
            }
        )),
        &[],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> Arc<dyn Fn(&str) -> &str + Send + Sync> {
                a()
            }
        )),
        &[],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> Result<(), E> {
                a()
            }
        )),
        &["`f` returns nothing"],
    );
}

#[test]
fn argument_that_cannot_be_a_key_is_refused_with_a_way_out() {
    for (ty, message) in [
        (quote!(f64), "as `to_bits` gives them"),
        (quote!(&[f32]), "as `to_bits` gives them"),
        (quote!(Option<f32>), "as `to_bits` gives them"),
        (quote!(HashMap<u8, u8>), "take a `BTreeMap`"),
        (quote!(&std::collections::HashSet<u8>), "take a `BTreeMap`"),
        (quote!(impl Hash), "`impl Trait` cannot be part of a key"),
        (quote!(&mut u8), "`&mut` cannot be part of a key"),
        (quote!((&str, u8)), "`x` borrows inside its type"),
        (quote!(Name<'_>), "`x` borrows inside its type"),
    ] {
        says(function(quote!(fn f(org_id: u64, x: #ty) -> u8 { 1 })), &[message]);
        let skipped =
            attribute(quote!(scope = "org", skip(x)), quote!(fn f(org_id: u64, x: #ty) -> u8 { 1 }));
        says(faults(skipped), &[]);
    }
    for ty in [quote!(&str), quote!(&[u8]), quote!(Option<&str>), quote!(&&str), quote!(Vec<&'static str>)] {
        says(function(quote!(fn f(org_id: u64, x: #ty) -> u8 { 1 })), &[]);
    }
}

#[test]
fn method_outside_an_annotated_block_is_sent_there() {
    says(
        function(quote!(
            fn f(&self, org_id: u64) -> u8 {
                1
            }
        )),
        &["write `#[cached]` above `impl`"],
    );
    says(
        function(quote!(
            fn f(org_id: u64) -> Self {
                1
            }
        )),
        &["write `#[cached]` above `impl`"],
    );
}

#[test]
fn method_says_what_identifies_self() {
    let block = |method: TokenStream| faults(attribute(quote!(), quote!(impl Reports { #method })));
    says(
        block(quote!(
            #[cached(scope = "org")]
            fn f(&self, org_id: u64) -> u8 {
                1
            }
        )),
        &["what identifies `self`?"],
    );
    says(
        block(quote!(
            #[cached(scope = "org", receiver = self.id)]
            fn f(self, org_id: u64) -> u8 {
                1
            }
        )),
        &["a cached method takes `&self`"],
    );
    says(
        block(quote!(
            #[cached(scope = "org", receiver = self.id)]
            fn f(&mut self, org_id: u64) -> u8 {
                1
            }
        )),
        &["a cached method takes `&self`"],
    );
    says(
        block(quote!(
            #[cached(scope = "org", receiver = 1)]
            fn f(org_id: u64) -> u8 {
                1
            }
        )),
        &["this function has no `self`"],
    );
    says(
        block(quote!(
            #[cached(scope = "org", receiver = (), skip(self))]
            fn f(&self, org_id: u64) -> u8 {
                1
            }
        )),
        &["`self` is left out of the key by `receiver = ()`"],
    );
    says(
        block(quote!(
            #[cached(scope = "org", receiver = ())]
            fn f(&self, org_id: u64) -> u8 {
                1
            }
        )),
        &[],
    );
    says(
        block(quote!(
            #[renamed::cached(scope = "org")]
            fn f(org_id: u64) -> Self {
                1
            }
        )),
        &[],
    );
}

#[test]
fn impl_block_that_cannot_be_cached_is_refused() {
    says(
        faults(attribute(quote!(), quote!(impl Reports { fn f() {} }))),
        &["no function of this impl block is cached"],
    );
    let cached = quote!(
        #[cached(scope = "org")]
        fn f(org_id: u64) -> u8 {
            1
        }
    );
    says(faults(attribute(quote!(), quote!(impl<T> Reports<T> { #cached }))), &[]);
    says(faults(attribute(quote!(), quote!(impl Load for Reports { #cached }))), &[]);
    says(faults(attribute(quote!(companions = off), quote!(impl Load for Reports { #cached }))), &[]);
    says(
        faults(attribute(quote!(scope = "org"), quote!(impl Reports { #cached }))),
        &["options belong on the functions"],
    );
    says(faults(attribute(quote!(crate = x), quote!(impl Reports { #cached }))), &[]);
    let two = quote!(impl Reports {
        #[cached] fn f(org_id: u64) -> u8 { 1 }
        #[cached(scope = "org")] #[cached(scope = "org")] fn g(org_id: u64) -> u8 { 1 }
    });
    says(faults(attribute(quote!(), two)), &["needs a scope", "is written twice"]);
}

#[test]
fn impl_of_a_trait_names_what_stands_beside_it() {
    let block = |of: TokenStream, ty: TokenStream| {
        let cached = quote!(
            #[cached(scope = "org", receiver = ())]
            fn f(&self, org_id: u64) -> Self::Error {
                1
            }
        );
        faults(attribute(quote!(), quote!(impl<T> #of for #ty { type Item = u8; #cached })))
    };
    says(block(quote!(Load), quote!(Pg<T>)), &["`Error` is not a type that this block gives"]);
    for ty in [quote!(T), quote!(Vec<T>), quote!(&T), quote!((T, T))] {
        says(block(quote!(Load), ty), &["for a type of this crate only", "`Error` is not a type"]);
    }
    let off = quote!(
        impl<T> Load for T {
            #[cached(scope = "org", receiver = ())]
            fn f(&self, org_id: u64) -> Self::Error {
                1
            }
        }
    );
    says(faults(attribute(quote!(companions = off), off)), &[]);
}

#[test]
fn name_of_a_parameter_in_a_path_or_a_field_is_not_the_parameter() {
    for option in [quote!(cache = crate::db::cache()), quote!(ttl = db::TTL), quote!(max = LIMITS.db)] {
        says(options(quote!(scope = "org", #option)), &[]);
    }
    for option in [quote!(cache = db), quote!(ttl = ttl_of(db)), quote!(max = (0..db).len())] {
        says(options(quote!(scope = "org", #option)), &["is found once for all calls"]);
    }
}

#[test]
fn self_of_an_item_inside_the_body_is_not_the_functions() {
    let item = quote!(
        fn rows(org_id: u64) -> Vec<u8> {
            struct Row(u8);
            impl From<u64> for Row {
                fn from(x: u64) -> Self {
                    Self(x as u8)
                }
            }
            vec![Row::from(org_id).0]
        }
    );
    says(function(item), &[]);
}

#[test]
fn float_inside_a_type_that_may_order_it_is_left_to_the_compiler() {
    for ty in [quote!(OrderedFloat<f64>), quote!(Id<HashMap<u8, u8>>), quote!(PhantomData<f64>)] {
        says(function(quote!(fn f(org_id: u64, x: #ty) -> u8 { 1 })), &[]);
    }
    for ty in [quote!(Vec<f64>), quote!(Option<&f32>), quote!((u8, [f64; 2])), quote!(Arc<Vec<f32>>)] {
        says(function(quote!(fn f(org_id: u64, x: #ty) -> u8 { 1 })), &["floats are not equal"]);
    }
}

#[test]
fn stand_in_keeps_the_function_and_the_name_of_its_companion() {
    let item = quote!(
        pub(crate) fn load(x: f64) -> String {
            body()
        }
    );
    let text = attribute(quote!(scope = "org"), item.clone()).to_string();
    assert!(text.contains(&item.to_string()), "{text}");
    assert!(text.contains("pub (crate) enum load { }"), "{text}");
    let block = quote!(impl Reports { #[cached] fn f(&self) -> u8 { 1 } });
    let text = attribute(quote!(), block).to_string();
    assert!(text.ends_with(&quote!(impl Reports { fn f(&self) -> u8 { 1 } }).to_string()), "{text}");
}

#[test]
fn expansion_names_private_only_and_differs_for_async_by_one_call() {
    let body = quote!((org_id: u64, name: &str) -> String { body() });
    let sync = attribute(quote!(scope = "org"), quote!(fn load #body)).to_string();
    let asynchronous = attribute(quote!(scope = "org"), quote!(async fn load #body)).to_string();
    for text in [&sync, &asynchronous] {
        for used in text.split(":: strata_cache ::").skip(1) {
            assert!(used.starts_with(" private ::"), "{used}");
        }
    }
    let head = |text: &str| text.split("__strata_pending . run").next().unwrap_or_default().to_owned();
    assert_eq!(head(&sync), head(&asynchronous).replace("async fn", "fn"));
}
