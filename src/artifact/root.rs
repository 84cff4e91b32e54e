//! The place that all runs of a project save below: a folder, or a prefix in an object store.
//!
//! It is a name, not a connection: it is written down with each run, and nothing is opened to read it. What must stay true: a text means
//! the same in the project file, on the command line and in the journal, and holds no credentials.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::objects::is_store;
use crate::id::RunId;

/// A root of saved files, of all runs or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A folder.
    Folder(PathBuf),
    /// A place in an object store: `s3://BUCKET/PREFIX`, without a slash at its end.
    Objects(String),
}

impl Root {
    /// Reads what a person wrote or a journal holds; a folder that is relative is one below `base`.
    #[must_use]
    pub fn read(text: &Path, base: &Path) -> Self {
        match text.to_str().filter(|text| is_store(text.trim())) {
            Some(place) => Self::Objects(place.trim().trim_end_matches('/').to_owned()),
            None => Self::Folder(base.join(text)),
        }
    }

    /// Returns the part of a run.
    #[must_use]
    pub fn of_run(&self, run: RunId) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.join(run.to_string())),
            Self::Objects(place) => Self::Objects(format!("{place}/{run}")),
        }
    }

    /// Returns the folder, where it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Objects(_) => None,
        }
    }
}

impl From<PathBuf> for Root {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Objects(place) => f.write_str(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_folder_or_a_store_wherever_it_is_written() {
        let read = |text: &str| Root::read(Path::new(text), Path::new("/p"));
        assert_eq!(read("out"), Root::Folder("/p/out".into()));
        assert_eq!(read("/srv/out"), Root::Folder("/srv/out".into()));
        assert_eq!(read("s3:out"), Root::Folder("/p/s3:out".into()));
        for store in ["s3://bucket/prefix", "gs://bucket", "AZ://container/a b"] {
            assert_eq!(read(&format!(" {store}/ ")), Root::Objects(store.to_owned()));
            assert_eq!(read(store).to_string(), store);
            assert_eq!(Root::read(Path::new(&read(store).to_string()), Path::new("/elsewhere")), read(store));
        }
        let run: RunId = "019ab697-e800-7707-8707-070707070707".parse().expect("an id");
        assert_eq!(read("s3://b/p").of_run(run), Root::Objects(format!("s3://b/p/{run}")));
        assert_eq!(read("out").of_run(run).folder(), Some(PathBuf::from(format!("/p/out/{run}")).as_path()));
    }
}
