//! Folders of files for sync clients.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
/// A temporary folder. Removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("davgate-{name}-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// 300 small files in several folders, with the names people give, and one of 50 MiB.
    pub(crate) fn with_files(name: &str) -> Self {
        let folder = Self::new(name);
        for number in 0..300_u32 {
            let below = folder
                .0
                .join(["Büro", "a b", "100%", "deep/er"][number as usize % 4]);
            fs::create_dir_all(&below).unwrap();
            let name = [
                "plain",
                "with blank",
                "ümläut",
                "plus+and&",
                "100%25",
                "#hash",
            ];
            let name = name[number as usize % name.len()];
            let content = format!("file {number}\n").repeat(number as usize * 7);
            fs::write(below.join(format!("{name} {number}.txt")), content).unwrap();
        }
        let large: Vec<u8> = (0..50_u32 << 18).flat_map(u32::to_le_bytes).collect();
        fs::write(folder.0.join("large.bin"), large).unwrap();
        folder
    }

    /// Hashes of all files by their path within.
    pub(crate) fn hashes(&self) -> BTreeMap<String, Vec<u8>> {
        hashes(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Hashes of all files below a folder by their path within.
pub(crate) fn hashes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let content = fs::read(&path).unwrap();
            found.insert(name.to_owned(), digest(&SHA256, &content).as_ref().to_vec());
        }
    }
}
