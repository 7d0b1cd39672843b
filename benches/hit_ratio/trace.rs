//! Traces: sequences of keys out of files, and the cache sizes to try on them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

/// A sequence of keys.
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) keys: Vec<u64>,
    pub(crate) sizes: Vec<usize>,
}

impl Trace {
    pub(crate) fn new(name: &str, keys: Vec<u64>, sizes: &[usize]) -> Self {
        let mut trace = Self { name: name.into(), keys, sizes: sizes.into() };
        if sizes.is_empty() {
            let distinct = trace.distinct();
            trace.sizes = (1..=8).rev().map(|part| (distinct >> part).max(1)).collect();
            trace.sizes.dedup();
        }
        trace
    }

    /// Reads `path`, `path:size,size` or `name=path:size,size`.
    pub(crate) fn read(argument: &str) -> Result<Self, String> {
        let (name, rest) = match argument.split_once('=') {
            Some((name, rest)) => (Some(name), rest),
            None => (None, argument),
        };
        let (path, sizes) = match rest.rsplit_once(':') {
            Some((path, sizes)) => {
                (path, sizes.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>())
            }
            None => (rest, Ok(Vec::new())),
        };
        let sizes = sizes.map_err(|error| format!("sizes of {path}: {error}"))?;
        let keys = keys(Path::new(path)).map_err(|error| format!("cannot read {path}: {error}"))?;
        let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self::new(name.unwrap_or(&stem), keys, &sizes))
    }

    pub(crate) fn distinct(&self) -> usize {
        self.keys.iter().collect::<HashSet<_>>().len()
    }
}

fn keys(path: &Path) -> Result<Vec<u64>, String> {
    let kind = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match kind.as_str() {
        "xz" => {
            let output =
                Command::new("xz").arg("-dc").arg(path).output().map_err(|error| format!("xz: {error}"))?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
            Ok(numbers(&output.stdout))
        }
        "csv" | "txt" => {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            Ok(text.lines().filter(|line| !line.is_empty()).map(first_column).collect())
        }
        _ => Ok(numbers(&std::fs::read(path).map_err(|error| error.to_string())?)),
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
}

/// A line's key, as a number: its hash, which is the same in every run.
fn first_column(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.split([',', ';', '\t']).next().unwrap_or_default().trim().hash(&mut hasher);
    hasher.finish()
}
