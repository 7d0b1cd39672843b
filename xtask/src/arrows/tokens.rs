//! Rust source to the few tokens that paths are made of. Comments, strings and lifetimes vanish.

/// A token that matters to paths.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// An identifier or keyword, without `r#`.
    Word(String),
    /// `::`
    Separator,
    /// `{`
    Open,
    /// `}`
    Close,
    /// Any other character that is not white space; `"` for a whole literal.
    Other(char),
}

/// The tokens of a source with their lines, counted from 1.
pub(crate) fn tokens(source: &str) -> Vec<(Token, usize)> {
    let characters: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(&character) = characters.get(at) {
        let rest = &characters[at..];
        let (token, length) = next(character, rest);
        if let Some(token) = token {
            found.push((token, line));
        }
        line += rest[..length].iter().filter(|character| **character == '\n').count();
        at += length;
    }
    found
}

/// The token at the beginning of what is left, if it is one, and its length.
fn next(character: char, rest: &[char]) -> (Option<Token>, usize) {
    let starts = |text: &str| text.chars().enumerate().all(|(n, character)| rest.get(n) == Some(&character));
    match character {
        _ if character.is_whitespace() => (None, 1),
        '/' if starts("//") => (None, until(rest, |at| rest[at] == '\n')),
        '/' if starts("/*") => (None, block_comment(rest)),
        '"' => (Some(Token::Other('"')), quoted(rest)),
        '\'' => match (rest.get(1), rest.get(2)) {
            (Some('\\'), _) => (
                Some(Token::Other('"')),
                3 + until(&rest[3.min(rest.len())..], |at| rest[3 + at] == '\'') + 1,
            ),
            (Some(_), Some('\'')) => (Some(Token::Other('"')), 3),
            _ => (None, 1 + until(&rest[1..], |at| !in_word(rest[1 + at]))),
        },
        _ if character.is_alphabetic() || character == '_' => word(rest),
        // A number, with its suffix.
        _ if character.is_ascii_digit() => (Some(Token::Other('0')), until(rest, |at| !in_word(rest[at]))),
        ':' if starts("::") => (Some(Token::Separator), 2),
        '{' => (Some(Token::Open), 1),
        '}' => (Some(Token::Close), 1),
        other => (Some(Token::Other(other)), 1),
    }
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn until(rest: &[char], end: impl Fn(usize) -> bool) -> usize {
    (0..rest.len()).find(|at| end(*at)).unwrap_or(rest.len())
}

/// Words, and the literals that begin with letters: `b"…"`, `c"…"`, `r#"…"#`, `b'…'`.
fn word(rest: &[char]) -> (Option<Token>, usize) {
    let length = until(rest, |at| !in_word(rest[at]));
    let text: String = rest[..length].iter().collect();
    let after = &rest[length..];
    let hashes = until(after, |at| after[at] != '#');
    let raw = matches!(text.as_str(), "r" | "br" | "cr");
    if raw && after.get(hashes) == Some(&'"') {
        return (Some(Token::Other('"')), length + raw_string(after, hashes));
    }
    if text == "r" && hashes == 1 {
        let (token, identifier) = word(&after[1..]);
        return (token, length + 1 + identifier);
    }
    match (text.as_str(), after.first()) {
        ("b" | "c", Some('"')) => (Some(Token::Other('"')), length + quoted(after)),
        ("b", Some('\'')) => {
            let (token, literal) = next('\'', after);
            (token, length + literal)
        }
        _ => (Some(Token::Word(text)), length),
    }
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(character) = rest.get(at) {
        match character {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(after: &[char], hashes: usize) -> usize {
    let closes =
        |at: usize| after[at] == '"' && after[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    let body = hashes + 1;
    let end = (body..after.len()).find(|at| closes(*at)).unwrap_or(after.len());
    (end + 1 + hashes).min(after.len())
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}
