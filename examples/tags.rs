//! Tags: entries are marked with what they were made of, and go together when that changes.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use strata_cache::{Cache, Error, LoadError, Tag, scope, tag_load};

fn main() -> Result<(), Error> {
    let cache = Cache::builder().capacity(10_000).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let globex = cache.scope(scope!(org = "globex"))?;

    // What is known when an entry is written.
    for org in [&acme, &globex] {
        org.set("seats", 30).tag("plan:gold").wait()?;
        org.set("invoice", "30 seats at 12".to_string())
            .tags([Tag::new("plan:gold")?, Tag::global("prices")?])
            .wait()?;
        org.set("logo", "blue".to_string()).wait()?;
    }

    // Acme's plan changes. A tag belongs to the scope of its entry, so nobody else notices.
    let gone = acme.invalidate_tag("plan:gold").wait()?;
    println!("acme: {} entries went", gone.entries);
    assert_eq!(gone.entries, 2);
    assert!(acme.contains("logo").wait()? && globex.contains("seats").wait()?);

    // Prices change for everybody: a global tag belongs to the root scope.
    let gone = cache.invalidate_tag(scope!(global), "prices").wait()?;
    assert_eq!(gone.entries, 1, "that of globex was left");

    // What is known only while loading. Had a tag been withdrawn meanwhile, the value would not have been stored.
    let load = || {
        let (report, tables) = ("sales", ["orders", "customers"]);
        tables.iter().try_for_each(|table| tag_load(format!("table:{table}")))?;
        Ok::<_, Error>(report.to_string())
    };
    let report = acme.get_or_load_with("report", load).wait().map_err(LoadError::flatten)?;
    assert_eq!(report.as_str(), "sales");
    assert_eq!(acme.invalidate_tag("table:orders").wait()?.entries, 1);
    assert!(!acme.contains("report").wait()?);
    println!("{} sets of tags are left", cache.stats().tag_sets);
    Ok(())
}
