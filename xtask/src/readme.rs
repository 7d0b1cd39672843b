//! The README's code in a crate of its own, as a reader would try it.
//!
//! (1) Each Rust block is one crate that depends on the checkout by path, with nothing changed. (2) A block with a
//! `main` is run, one without is compiled. (3) A README without code is a failure, for then nothing was checked.

use std::fs;
use std::path::Path;

use crate::run::{Failure, Outcome, Run, root};

/// Compiles and runs the README's code.
pub(crate) fn task(_: &[String]) -> Outcome {
    let root = root();
    let readme = fs::read_to_string(root.join("README.md"))
        .map_err(|error| Failure(format!("cannot read README.md: {error}")))?;
    let blocks = rust_blocks(&readme);
    if blocks.is_empty() {
        return Err(Failure("README.md has no Rust code: nothing was checked".into()));
    }
    for (number, block) in blocks.iter().enumerate() {
        let folder = root.join("target").join("readme").join(format!("block-{number}"));
        write_crate(&folder, &root, number, block)
            .map_err(|error| Failure(format!("cannot write {}: {error}", folder.display())))?;
        let manifest = folder.join("Cargo.toml").display().to_string();
        let verb = if has_main(block) { "run" } else { "check" };
        Run::new(&format!("cargo {verb} --quiet --manifest-path"))
            .arg(manifest)
            .env("CARGO_TARGET_DIR", root.join("target").join("readme").display().to_string())
            .go()?;
    }
    eprintln!("readme: {} blocks of code compile as printed", blocks.len());
    Ok(())
}

/// The contents of the blocks fenced as `rust`.
fn rust_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        match &mut current {
            None if line.trim_end() == "```rust" => current = Some(String::new()),
            Some(_) if line.starts_with("```") => blocks.extend(current.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

fn has_main(block: &str) -> bool {
    block.lines().any(|line| line.starts_with("fn main()"))
}

fn write_crate(folder: &Path, root: &Path, number: usize, block: &str) -> std::io::Result<()> {
    let source = if has_main(block) { "main.rs" } else { "lib.rs" };
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"readme-{number}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             strata-cache = {{ path = {:?} }}\n\n[workspace]\n",
            root.display().to_string()
        ),
    )?;
    fs::write(folder.join("src").join(source), block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rust_blocks_are_taken_and_whole() {
        let text = "# a\n```rust\nfn main() {\n}\n```\n\n```text\nno\n```\n```rust\nfn f() {}\n```\n";
        let blocks = rust_blocks(text);
        assert_eq!(blocks, ["fn main() {\n}\n", "fn f() {}\n"]);
        assert!(has_main(&blocks[0]) && !has_main(&blocks[1]));
    }
}
