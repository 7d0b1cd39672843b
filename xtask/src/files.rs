//! The workspace's files, without what is built or hidden.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Failure;

/// A text file, its path relative to the folder that was walked.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Every text file below a folder whose name ends in one of these, in order of path. An absent folder has none.
pub(crate) fn below(folder: &Path, endings: &[&str]) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    if folder.is_dir() {
        walk(folder, folder, endings, &mut files)?;
    }
    files.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(files)
}

fn walk(top: &Path, folder: &Path, endings: &[&str], files: &mut Vec<File>) -> Result<(), Failure> {
    let unreadable = |error| Failure(format!("cannot read {}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let hidden = name.starts_with('.') && ![".ci", ".cargo", ".gitignore"].contains(&name.as_str());
        if hidden || ["target", "wip", "node_modules"].contains(&name.as_str()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(top, &path, endings, files)?;
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let bytes = fs::read(&path)
                .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let path = path.strip_prefix(top).map(Path::to_path_buf).unwrap_or(path);
            files.push(File { path, text });
        }
    }
    Ok(())
}
