//! Foreign bytes by the million: mutations of a kept corpus, and of what of them led to something new.
//!
//! No coverage is measured, because the compiler of the project cannot: what a target says of an input (which fault, which
//! form) stands for the way it took, and an input that led to a new one is mutated further. `cargo test` runs a few thousand
//! of each target, with the same seed each time; `make chaos` a minute's, with another seed each time, which is told.
//!
//! `FUZZ_SECONDS`: how long instead. `FUZZ_SEED`: repeats a run. `FUZZ_KEEP=1`: what was new is written into the corpus.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of a run without a time.
const EXECUTIONS: u64 = 3_000;

/// Inputs that are kept to be mutated further.
const POOL: usize = 20_000;

/// Longest input.
const LONGEST: usize = 16 * 1024;

/// Runs `target` with mutations of the corpus `tests/corpus/NAME` and of `seeds`. What it gives back says what became of an
/// input; it panics if that was wrong. `words` are put in where chance would hardly spell them.
pub(crate) fn fuzz<O: Hash>(
    name: &str,
    seeds: &[Vec<u8>],
    words: &[&str],
    mut target: impl FnMut(&[u8]) -> O,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(name);
    let mut pool = corpus(&folder);
    assert!(!pool.is_empty(), "{} has no corpus", folder.display());
    pool.extend_from_slice(seeds);
    let time = setting("FUZZ_SECONDS").map(Duration::from_secs);
    let seed = setting("FUZZ_SEED").unwrap_or_else(|| match time {
        Some(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        None => 1,
    });
    let mut chance = Chance(seed);
    let mut known = HashSet::new();
    let kept = pool.len();
    let (began, mut executions) = (Instant::now(), 0);
    loop {
        let is_over = match time {
            Some(time) => began.elapsed() >= time,
            None => executions >= EXECUTIONS,
        };
        // Each of the corpus is run as it is first.
        let at = usize::try_from(executions).unwrap_or(usize::MAX);
        if is_over && at >= kept {
            break;
        }
        let input = match pool.get(at).filter(|_| at < kept) {
            Some(input) => input.clone(),
            None => mutated(&pool, words, &mut chance),
        };
        executions += 1;
        let became = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let became = became.unwrap_or_else(|panic| {
            let shown = input.escape_ascii();
            eprintln!("fuzz: {name}, seed {seed}, after {executions} executions: b\"{shown}\"");
            resume_unwind(panic)
        });
        let mut hasher = DefaultHasher::new();
        became.hash(&mut hasher);
        if known.insert(hasher.finish()) && at >= kept && pool.len() < POOL {
            if setting("FUZZ_KEEP").is_some() {
                let file = format!("{:016x}", hasher.finish());
                fs::write(folder.join(file), &input).unwrap();
            }
            pool.push(input);
        }
    }
    println!(
        "fuzz: {name}: {executions} executions in {:.0} s, {} outcomes, {kept} kept inputs, seed {seed}",
        began.elapsed().as_secs_f64(),
        known.len(),
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "no setting of the gateway, but of the run of its tests"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The files of a folder, in the order of their names.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One of the pool, changed in one to eight places.
fn mutated(pool: &[Vec<u8>], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.one_of(pool).clone();
    for _ in 0..=chance.below(8) {
        let at = chance.below(input.len() + 1);
        let end = (at + chance.below(12)).min(input.len());
        match chance.below(9) {
            0 if at < input.len() => input[at] ^= 1 << chance.below(8),
            1 if at < input.len() => input[at] = *chance.one_of(&ODD),
            2 => input.insert(at, *chance.one_of(&ODD)),
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input[at..end].repeat(1 + chance.below(4));
                input.splice(at..at, again);
            }
            5 if !words.is_empty() => {
                let word = chance.one_of(words).bytes();
                input.splice(at..at, word);
            }
            6 if !words.is_empty() => {
                let word = chance.one_of(words).bytes();
                input.splice(at..end, word);
            }
            7 => {
                let other = chance.one_of(pool);
                let from = chance.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let other = chance.one_of(pool);
                let from = chance.below(other.len() + 1);
                let to = (from + chance.below(40)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

/// Bytes at which parsers part.
const ODD: [u8; 24] = [
    0, 9, 10, 11, 13, 32, 127, 128, 0xc0, 0xe2, 0xff, b'"', b'%', b'.', b'/', b'\\', b':', b';',
    b'{', b'[', b'0', b'=', b'-', b'_',
];

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn one_of<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}
