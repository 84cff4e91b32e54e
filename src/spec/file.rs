//! From a path to a text, within bounds: nobody's mistake (a video for a workflow, a device, a disk image) may cost more than a
//! moment.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
};

/// The largest file that is read: a hundred thousand steps with room to spare.
pub const LARGEST: u64 = 16 << 20;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub error: io::Error,
}

/// Reads a file as text; `shown` is its name in diagnostics. Its size is looked at first, and never more than the bound is read.
///
/// # Errors
///
/// When the file cannot be opened or read. The inner error tells of one that is too large or no text.
pub fn read(path: &Path, shown: &str) -> Result<Result<Arc<Source>, Box<Diagnostic>>, OpenError> {
    let failed = |error| OpenError { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if metadata.len() > LARGEST {
        return Ok(Err(Box::new(too_large(shown, Some(metadata.len())))));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Ok(Err(Box::new(too_large(shown, None))));
    }
    Ok(text(bytes, shown))
}

/// Takes bytes as text.
///
/// # Errors
///
/// When they are not UTF-8.
pub fn text(bytes: Vec<u8>, shown: &str) -> Result<Arc<Source>, Box<Diagnostic>> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(Arc::new(Source::new(shown, text))),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let help = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "it looks like UTF-16: save it as UTF-8"
    } else if bytes.contains(&0) {
        "it looks like a binary file, not a workflow"
    } else {
        "save it as UTF-8"
    };
    let byte = bytes.get(at).copied().unwrap_or_default();
    let source = Arc::new(Source::new(shown, String::from_utf8_lossy(bytes)));
    // The first wrong byte became one replacement character, which is three bytes long.
    let span = Span { start: at, end: at + '\u{fffd}'.len_utf8() };
    Err(Box::new(
        Diagnostic::error(Code::NotText, "the file is not UTF-8 text")
            .at(&source, span, format!("the byte 0x{byte:02x} is not part of a character"))
            .help(help),
    ))
}

fn too_large(shown: &str, bytes: Option<u64>) -> Diagnostic {
    let size = bytes.map_or_else(|| "larger".to_owned(), |bytes| format!("{} MiB large", bytes >> 20));
    Diagnostic::error(Code::TooLarge, format!("the file is {size}; the bound is {} MiB", LARGEST >> 20))
        .at(&Arc::new(Source::new(shown, "")), Span::default(), "")
        .help("is this the right file?")
}
