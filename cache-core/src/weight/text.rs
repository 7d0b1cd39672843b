//! Numbers of bytes as people write them.

/// A whole number of bytes: `"1000"`, `"512MB"`, `"64 KiB"`; `None` for anything else, and for more than 2^64 − 1.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let text = text.trim().to_ascii_uppercase();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((&text, 1));
    let number: Option<u64> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(unit))
}
