//! What whole expansions look like: one file each beside this one, written anew by `UPDATE_SNAPSHOTS=1`; read the difference.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

use crate::attribute;

#[track_caller]
fn is(name: &str, args: TokenStream, item: TokenStream) {
    let expanded = attribute(args, item).to_string();
    let file = syn::parse_str(&expanded).unwrap_or_else(|fault| panic!("{name}: {fault}\n{expanded}"));
    let text = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/snapshots").join(name).with_extension("txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).expect("the folder can be written to");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == known, "{name} expands otherwise than {} says", path.display());
}

#[test]
fn function_is_one_call_and_a_type_with_companions() {
    is(
        "function",
        quote!(scope = "user", ttl = "5m"),
        quote!(
            /// Documented once.
            #[must_use]
            pub fn preferences(org_id: u64, user_id: u64, section: &str) -> Result<String, Error> {
                load(user_id, section)
            }
        ),
    );
}

#[test]
fn async_function_without_companions_has_its_site_inside() {
    is(
        "apart",
        quote!(scope = "global", companions = off),
        quote!(
            async fn answer<T: Entity>(id: T, (page, _): (u8, u8)) -> Option<T> {
                find(id, page).await
            }
        ),
    );
}

#[test]
fn options_are_said_once_for_the_site_or_at_the_miss() {
    is(
        "options",
        quote!(
            scope = "org",
            idle = "10m",
            jitter = "10%",
            max = 100,
            key = |query| query.normalized(),
            when = |found| !found.is_empty(),
            weigh = |found| found.len() as u64,
            negative(none = "30s", err = "5s"),
            tags("plan:{plan}", global("prices")),
            wait = "2s",
            cache = crate::CACHE,
            without_scope = error,
            companions = searching,
            crate = ::renamed
        ),
        quote!(
            fn search(org_id: u64, query: &Query, plan: &str) -> Result<Option<Vec<u64>>, Failed> {
                run(query, plan)
            }
        ),
    );
}

#[test]
fn care_is_said_once_for_the_site_and_the_body_stands_apart() {
    is(
        "care",
        quote!(
            scope = "org",
            ttl = "5m",
            stale = "30s",
            on_error = stale("1h"),
            refresh = early(2),
            soft = "200ms",
            hard = HARD,
            throttle = "2s",
            breaker(failures = 5, cool_down = "1m")
        ),
        quote!(
            fn plan(org_id: u64, name: &str, db: Db) -> Result<Plan, Failed> {
                db.plan(org_id, name)
            }
        ),
    );
}

#[test]
fn impl_of_a_trait_has_its_companions_beside_it() {
    is(
        "trait",
        quote!(),
        quote!(
            impl<K: Key, S: Source<K>> Load<K> for Store<S>
            where
                S: Send,
            {
                type Item = u8;
                #[cached(scope = "org", receiver = self.name)]
                fn load(&self, org_id: u64, key: K) -> Option<Self::Item> {
                    self.source.find(org_id, key)
                }
            }
        ),
    );
}
