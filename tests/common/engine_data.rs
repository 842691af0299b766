//! The golden networks of `tests/data/engine.zip`; its contents are described in `tests/data/README.md`.

use std::fs::File;
use std::path::Path;
use tempfile::TempDir;

/// Unpacks `net00` to `net39` into a directory that is removed when the value is dropped.
pub fn engine_data() -> TempDir {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/engine.zip");
    let directory = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(directory.path()).unwrap();
    directory
}
