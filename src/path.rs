//! Paths of saved files, made of words from outside: a person's template, an API's answer.
//!
//! A [`RelativePath`] is the proof that a path stays under its root, on every system that the run's folder may be copied to;
//! only [`safe_path`] makes one.

use std::fmt;

use percent_encoding::percent_decode;

/// The name of a run's list of files, in its artifact root.
pub const MANIFEST: &str = "manifest.json";

/// The most bytes of a path below the artifact root; with a long root it stays within every system's limit.
pub const LONGEST_PATH: usize = 1024;

/// The most bytes of one part: 255 is what file systems take, less what tools append to a name.
const LONGEST_PART: usize = 240;

/// Names that are devices on Windows, with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// What names of files in the making begin with, and what the run's own files are called.
pub(crate) const OWN_PREFIX: &str = ".dagwood-";

/// A path below the artifact root: parts joined by `/`, none of which leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// Returns the path with `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says why a rendered path is no place for a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be a file's path: {why}", .path.escape_debug())]
pub struct PathProblem {
    /// The path as rendered.
    pub path: String,
    /// What is wrong.
    pub why: &'static str,
}

/// Checks a rendered path: it may not leave the root, nor mean different things on different systems.
///
/// # Errors
///
/// Where it does.
pub fn safe_path(rendered: &str) -> Result<RelativePath, PathProblem> {
    match problem(rendered) {
        None => Ok(RelativePath(rendered.to_owned())),
        Some(why) => Err(PathProblem { path: rendered.chars().take(200).collect(), why }),
    }
}

fn problem(path: &str) -> Option<&'static str> {
    let drive = |path: &str| matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > LONGEST_PATH {
        return Some("it is longer than 1024 bytes");
    }
    if path.contains(char::is_control) {
        return Some("it has control characters");
    }
    if path.contains('\\') {
        return Some("it has a backslash; parts are separated by `/`");
    }
    if path.starts_with('/') || drive(path) {
        return Some("it is absolute; files are saved under the run's folder");
    }
    if path.eq_ignore_ascii_case(MANIFEST) {
        return Some("this is the run's own manifest");
    }
    path.split('/').find_map(|part| {
        // Windows looks at what is before the first dot, without blanks: `nul .txt` is a device too, and so is `com¹`.
        let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_lowercase();
        let numbered = |name| {
            stem.strip_prefix(name)
                .is_some_and(|number| matches!(number, "¹" | "²" | "³") || matches!(number.as_bytes(), [b'0'..=b'9']))
        };
        match part {
            "" => Some("it has an empty part"),
            "." | ".." => Some("it has a `.` or `..` part"),
            // A part of a URL that was taken over; a server of the folder, or an object store, would decode it.
            _ if leads_elsewhere(part) => Some("it has a part that means `..` or `/` once it is decoded as in a URL"),
            // There it is a stream of another file.
            _ if cfg!(windows) && part.contains(':') => Some("it has a colon"),
            _ if part.len() > LONGEST_PART => Some("it has a part longer than 240 bytes"),
            _ if part.ends_with(['.', ' ']) => Some("it has a part that ends with a dot or a blank"),
            _ if part.starts_with(OWN_PREFIX) => Some("names that begin with `.dagwood-` are taken"),
            _ if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") => {
                Some("it has a part that is a device on Windows")
            }
            _ => None,
        }
    })
}

/// Says whether a part is a dot part, or several parts or a NUL, once it is percent-decoded, as often as it takes.
fn leads_elsewhere(part: &str) -> bool {
    let mut part = part.as_bytes().to_vec();
    loop {
        let decoded: Vec<u8> = percent_decode(&part).collect();
        if matches!(decoded.as_slice(), b"." | b"..") || decoded.iter().any(|byte| b"/\\\0".contains(byte)) {
            return true;
        }
        if decoded == part {
            return false;
        }
        part = decoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_under_its_root() {
        for good in [
            "a",
            "render/0.png",
            "a b/é/..c",
            "a..b",
            "com10/x",
            "conx",
            "sub/manifest.json",
            ".hidden/file",
            "100%.png",
            "50%2",
            "a%20b/%é",
            "1 %2e",
        ] {
            assert_eq!(safe_path(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/..",
            "a/../../b",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "..\\a",
            "C:/a",
            "c:a",
            "a\0b",
            "a\nb",
            "\u{7f}",
            "a./b",
            "a /b",
            ".. /a",
            "CON",
            "nul.txt",
            "a/Com1.png",
            "lpt9",
            "COM0",
            "com¹.txt",
            "nul .png",
            "conin$",
            "%2e%2E/etc/passwd",
            "a/.%2e/b",
            "a/%2E",
            "..%2fetc",
            "a%5cb",
            "%252e%252e/x",
            "a%00.png",
            "a.zip/../../etc/passwd",
            "manifest.json",
            "Manifest.JSON",
            ".dagwood-1.part",
        ] {
            assert!(safe_path(bad).is_err(), "{bad:?}");
        }
        assert!(safe_path(&format!("{}a", "a/".repeat(600))).is_err());
        assert!(safe_path(&"a".repeat(241)).is_err());
        let problem = safe_path("../\u{1b}[31m").expect_err("a problem");
        assert!(!problem.to_string().contains('\u{1b}'), "{problem}");
    }
}
