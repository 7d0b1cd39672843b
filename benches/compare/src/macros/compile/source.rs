//! The crates that are built: ten functions of each of ten shapes, under attributes or without.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

const FUNCTIONS: usize = 100;

/// A crate to write.
#[derive(Clone, Copy)]
pub struct Crate {
    pub name: &'static str,
    dependency: &'static str,
    /// What stands above the functions.
    import: &'static str,
    /// The attribute of each shape.
    attributes: [&'static str; SHAPES.len()],
}

pub const OURS: Crate = Crate {
    name: "compiled-ours",
    dependency: "strata-cache = { path = \"STRATA\" }",
    import: "use strata_cache::cached;",
    attributes: [
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000, ttl = \"1m\")]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
        "#[cached(scope = \"user\", max = 1_000)]",
        "#[cached(scope = \"global\", max = 1_000)]",
    ],
};

pub const CACHED: Crate = Crate {
    name: "compiled-cached",
    dependency: "cached = { version = \"4.1\", default-features = false, features = [\"ahash\", \"async\", \"proc_macro\", \"time_stores\"] }",
    import: "use cached::macros::cached;",
    attributes: [
        "#[cached(max_size = 1_000)]",
        "#[cached(max_size = 1_000, ttl_secs = 60)]",
        "#[cached(max_size = 1_000, key = \"String\", convert = { String::from(text) })]",
        "#[cached(max_size = 1_000, key = \"Vec<u32>\", convert = { numbers.to_vec() })]",
        "#[cached(max_size = 1_000, key = \"Option<String>\", convert = { text.map(String::from) })]",
        "#[cached(max_size = 1_000)]",
        "#[cached(max_size = 1_000)]",
        "#[cached(max_size = 1_000)]",
        "#[cached(max_size = 1_000, key = \"(u64, u64, String)\", convert = { (org_id, user_id, String::from(section)) })]",
        "#[cached(max_size = 1_000)]",
    ],
};

pub const UNCACHED: Crate =
    Crate { name: "compiled-uncached", dependency: "", import: "", attributes: [""; SHAPES.len()] };

/// A function and a call of it; `NUMBER` is its own.
struct Shape {
    function: &'static str,
    call: &'static str,
}

const SHAPES: [Shape; 10] = [
    Shape { function: "fn f_NUMBER(n: u64) -> u64 { n.wrapping_mul(NUMBER) }", call: "f_NUMBER(hidden(7))" },
    Shape {
        function: "fn f_NUMBER(a: u64, b: u32) -> u64 { a.rotate_left(b) ^ NUMBER }",
        call: "f_NUMBER(hidden(7), hidden(3))",
    },
    Shape {
        function: "fn f_NUMBER(text: &str) -> String { format!(\"{text} NUMBER\") }",
        call: "f_NUMBER(hidden(\"theme\")).len() as u64",
    },
    Shape {
        function: "fn f_NUMBER(numbers: &[u32]) -> u64 { numbers.iter().map(|n| u64::from(*n) + NUMBER).sum() }",
        call: "f_NUMBER(hidden(&[1, 2, 3]))",
    },
    Shape {
        function: "fn f_NUMBER(text: Option<&str>) -> Option<String> { text.map(|text| format!(\"NUMBER {text}\")) }",
        call: "f_NUMBER(hidden(Some(\"theme\"))).map_or(0, |text| text.len() as u64)",
    },
    Shape {
        function: "fn f_NUMBER(n: u64) -> Result<u64, String> { n.checked_mul(NUMBER + 1).ok_or_else(|| format!(\"{n}\")) }",
        call: "f_NUMBER(hidden(7)).unwrap_or(0)",
    },
    Shape { function: "async fn f_NUMBER(n: u64) -> u64 { n ^ NUMBER }", call: "ready(f_NUMBER(hidden(7)))" },
    Shape {
        function: "async fn f_NUMBER(name: String, n: u64) -> Result<Arc<str>, String> { Ok(format!(\"{name} {n} NUMBER\").into()) }",
        call: "ready(f_NUMBER(hidden(\"acme\").to_owned(), hidden(7))).map_or(0, |text| text.len() as u64)",
    },
    Shape {
        function: "fn f_NUMBER(org_id: u64, user_id: u64, section: &str) -> Result<Arc<str>, String> { Ok(format!(\"{org_id}/{user_id}/{section}/NUMBER\").into()) }",
        call: "f_NUMBER(hidden(7), hidden(42), hidden(\"theme\")).map_or(0, |text| text.len() as u64)",
    },
    Shape {
        function: "fn f_NUMBER(kind: Kind, is_new: bool, n: i64) -> Report { Report { kind, total: if is_new { n } else { n - NUMBER } } }",
        call: "f_NUMBER(hidden(Kind::Order), hidden(true), hidden(-7)).total as u64",
    },
];

/// What the functions use beside their attribute.
const PRELUDE: &str = "
use std::hint::black_box as hidden;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind { Order }

#[derive(Debug, Clone)]
pub struct Report { pub kind: Kind, pub total: i64 }

fn ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output; }
    }
}
";

/// Writes a workspace of these crates.
///
/// # Errors
/// Those of the file system.
pub fn write(folder: &Path, crates: &[Crate]) -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let strata = here.join("../..").canonicalize()?.display().to_string();
    let members: Vec<String> = crates.iter().map(|krate| format!("\"{}\"", krate.name)).collect();
    fs::create_dir_all(folder)?;
    fs::write(
        folder.join("Cargo.toml"),
        format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", ")),
    )?;
    fs::copy(here.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    for krate in crates {
        let root = folder.join(krate.name);
        fs::create_dir_all(root.join("src"))?;
        let dependency = krate.dependency.replace("STRATA", &strata);
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n",
            krate.name
        );
        fs::write(root.join("Cargo.toml"), manifest)?;
        fs::write(root.join("src/main.rs"), program(*krate))?;
    }
    Ok(())
}

/// Changes a crate a little, so that it is built again.
///
/// # Errors
/// Those of the file system.
pub fn touch(folder: &Path, krate: Crate, round: usize) -> io::Result<()> {
    let source = format!("{}\n// Round {round}.\n", program(krate));
    fs::write(folder.join(krate.name).join("src/main.rs"), source)
}

fn program(krate: Crate) -> String {
    let mut source = format!("{}\n{PRELUDE}\n", krate.import);
    let mut main = String::from("fn main() {\n    let mut sum = 0_u64;\n");
    for number in 0..FUNCTIONS {
        let which = number % SHAPES.len();
        let of = |text: &str| text.replace("NUMBER", &number.to_string());
        let _ = writeln!(source, "{}\n{}\n", krate.attributes[which], of(SHAPES[which].function));
        let _ = writeln!(main, "    sum = sum.wrapping_add({});", of(SHAPES[which].call));
    }
    format!("{source}{main}    println!(\"{{sum}}\");\n}}\n")
}
