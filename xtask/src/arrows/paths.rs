//! Every path that a source names, `use` groups taken apart, `self` and `super` resolved.

use crate::arrows::tokens::{Token, tokens};

/// A path as it is named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    /// As written, `*` for a glob at its end.
    pub(crate) path: Vec<String>,
    /// From the crate's root, where it begins with `crate`, `self` or `super`.
    pub(crate) in_crate: Option<Vec<String>>,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// The name that an import of it binds: its last segment, or what follows `as`.
    pub(crate) binds: String,
    /// Whether it stands in a module called `tests`.
    pub(crate) in_tests: bool,
}

/// What a source names and defines.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// All paths of two segments or more, and single names that are imported.
    pub(crate) paths: Vec<Named>,
    /// Those of `use` lines outside inline modules.
    pub(crate) imports: Vec<Named>,
    /// The names of `macro_rules!`.
    pub(crate) macros: Vec<String>,
}

/// Reads a source that is the module given.
pub(crate) fn named_paths(text: &str, module: &[String]) -> Source {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, module: module.to_vec(), source: Source::default() };
    reader.read();
    reader.source
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    /// The module at this place, inline ones included.
    module: Vec<String>,
    source: Source,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.token(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn read(&mut self) {
        // For each open brace, whether it is an inline module's.
        let mut braces = Vec::new();
        while let Some(token) = self.token(0) {
            match token {
                Token::Open => {
                    braces.push(false);
                    self.at += 1;
                }
                Token::Close => {
                    if braces.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                Token::Word(word) if word == "mod" && self.token(2) == Some(&Token::Open) => {
                    let name = self.word(1).unwrap_or_default().to_owned();
                    self.module.push(name);
                    braces.push(true);
                    self.at += 3;
                }
                Token::Word(word) if word == "macro_rules" => {
                    let name = self.word(2).map(str::to_owned);
                    self.source.macros.extend(name);
                    self.at += 1;
                }
                Token::Word(word) if word == "use" || word == "extern" && self.word(1) == Some("crate") => {
                    self.at += if word == "use" { 1 } else { 2 };
                    let inline = braces.contains(&true);
                    let found = self.tree(&[]);
                    if !inline {
                        self.source.imports.extend(found.iter().cloned());
                    }
                    self.source.paths.extend(found);
                }
                Token::Word(_) => {
                    let found = self.tree(&[]);
                    self.source.paths.extend(found.into_iter().filter(|named| named.path.len() > 1));
                }
                // After `>` it goes on with a type, not with a path of its own: `<T>::name`.
                Token::Separator
                    if matches!(
                        self.at.checked_sub(1).map(|at| &self.tokens[at].0),
                        Some(Token::Other('>'))
                    ) =>
                {
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    /// A path or a group of them, from here on, below a prefix.
    fn tree(&mut self, prefix: &[String]) -> Vec<Named> {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        if prefix.is_empty() && self.token(0) == Some(&Token::Separator) {
            self.at += 1;
        }
        loop {
            match self.token(0) {
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    self.at += 1;
                }
                Some(Token::Other('*')) if !path.is_empty() => {
                    path.push("*".into());
                    self.at += 1;
                }
                Some(Token::Open) => return self.group(&path),
                _ => break,
            }
            if self.token(0) != Some(&Token::Separator) {
                break;
            }
            self.at += 1;
        }
        // A group's `self` is the prefix.
        if path.len() > 1 && path.len() > prefix.len() && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut binds = path.last().cloned().unwrap_or_default();
        if self.word(0) == Some("as") {
            if let Some(name) = self.word(1) {
                binds = name.to_owned();
            }
            self.at += 2;
        }
        if path.is_empty() {
            return Vec::new();
        }
        let in_tests = self.module.iter().any(|part| part == "tests");
        vec![Named { in_crate: self.in_crate(&path), path, line, binds, in_tests }]
    }

    fn group(&mut self, prefix: &[String]) -> Vec<Named> {
        let mut found = Vec::new();
        self.at += 1;
        while let Some(token) = self.token(0) {
            match token {
                Token::Close => {
                    self.at += 1;
                    break;
                }
                Token::Word(_) | Token::Open | Token::Separator | Token::Other('*') => {
                    let before = self.at;
                    found.extend(self.tree(prefix));
                    self.at = self.at.max(before + 1);
                }
                Token::Other(_) => self.at += 1,
            }
        }
        found
    }

    fn in_crate(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        let supers =
            path.iter().skip(usize::from(path[0] == "self")).take_while(|part| *part == "super").count();
        base.truncate(base.len().saturating_sub(supers));
        let skip = if supers == 0 { 1 } else { supers + usize::from(path[0] == "self") };
        base.extend_from_slice(&path[skip..]);
        Some(base)
    }
}
