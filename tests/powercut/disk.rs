//! A disk that loses its power: what each file and directory may hold after a cut.
//!
//! The model, in the order in which it lets things happen:
//! - A sync that has returned makes a file's content and length durable; a sync of a directory its entries. A
//!   file's sync says nothing of the entry that names it, nor of the directories above.
//! - Of what came after the last sync, each unit (a sector of 512 bytes or a page of 4096) of a file holds what it
//!   held at the sync or what any later write left in it, each unit on its own: writes are torn, dropped and
//!   reordered. A unit itself is never torn, and nothing beside what was written changes ("powersafe
//!   overwrite", which SQLite counts on, too).
//! - The length of the file is the one at the sync or any later one, whatever became of the content; what was
//!   never written there reads as zeros. A file is shortened as a whole or not at all: with the old length it
//!   has the old content, and what was written after it was shortened is there only if it was.
//! - Each name of a directory names what it named at the directory's sync or anything that it named later,
//!   each name on its own. What lies in a directory that is lost is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::log::{Operation, Record};

/// What becomes of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// All of it is lost.
    Lost,
    /// All of it was written in time.
    Kept,
    /// It was written in order, up to some moment.
    Prefix,
    /// Names and lengths were written, content was not.
    Hollow,
    /// Every unit, length and name for itself, the newest state with this probability in percent.
    Torn { unit: usize, newest: u8 },
}

impl Style {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.u32(0..10) {
            0 => Self::Lost,
            1 => Self::Kept,
            2 | 3 => Self::Prefix,
            4 => Self::Hollow,
            _ => Self::Torn { unit: [512, 4096][rng.usize(0..2)], newest: [10, 50, 90][rng.usize(0..3)] },
        }
    }
}

/// Something with its moment, the number of its record.
type At<T> = (usize, T);

#[derive(Debug, Clone, Default)]
struct Inode {
    is_directory: bool,
    /// As of the last sync.
    durable: Vec<u8>,
    /// What has been done since, in order.
    since: Vec<At<Change>>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(data);
            }
            Self::Length(length) => content.resize(*length, 0),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Name {
    durable: Option<usize>,
    since: Vec<At<Option<usize>>>,
}

impl Name {
    fn now(&self) -> Option<usize> {
        self.since.last().map_or(self.durable, |(_, inode)| *inode)
    }
}

/// All below one directory, which itself is durable.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Name>,
    records: usize,
}

impl Disk {
    /// What lies there, all of it durable.
    pub(crate) fn of(root: &Path) -> Self {
        let mut disk = Self { root: root.to_owned(), inodes: Vec::new(), names: BTreeMap::new(), records: 0 };
        disk.take(root);
        disk
    }

    fn take(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, is_directory) = (entry.path(), entry.file_type().unwrap().is_dir());
            let durable = if is_directory { Vec::new() } else { fs::read(&path).unwrap() };
            self.inodes.push(Inode { is_directory, durable, since: Vec::new() });
            let name = Name { durable: Some(self.inodes.len() - 1), since: Vec::new() };
            self.names.insert(path.clone(), name);
            if is_directory {
                self.take(&path);
            }
        }
    }

    /// Does what the record tells.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.records += 1;
        match &record.operation {
            Operation::Create => self.create(&record.path, false),
            Operation::Mkdir => self.create(&record.path, true),
            Operation::Write { offset, data } => {
                self.change(&record.path, Change::Write { offset: *offset, data: data.clone() });
            }
            Operation::Truncate(length) => self.change(&record.path, Change::Length(*length)),
            Operation::Sync => self.sync(&record.path),
            Operation::Rename(to) => {
                let inode = self.names[&record.path].now();
                self.name(&record.path, None);
                self.name(to, inode);
            }
            Operation::Unlink => self.name(&record.path, None),
        }
    }

    fn create(&mut self, path: &Path, is_directory: bool) {
        self.inodes.push(Inode { is_directory, ..Inode::default() });
        self.name(path, Some(self.inodes.len() - 1));
    }

    fn name(&mut self, path: &Path, inode: Option<usize>) {
        self.names.entry(path.to_owned()).or_default().since.push((self.records, inode));
    }

    fn change(&mut self, path: &Path, change: Change) {
        let Some(inode) = self.names[path].now() else {
            // An open file whose name is gone: nobody will find what is in it.
            return;
        };
        self.inodes[inode].since.push((self.records, change));
    }

    fn sync(&mut self, path: &Path) {
        let found = self.names.get(path).map(Name::now);
        let is_directory =
            found.is_none_or(|inode| inode.is_some_and(|inode| self.inodes[inode].is_directory));
        if is_directory {
            for name in self.names.iter_mut().filter(|(entry, _)| entry.parent() == Some(path)) {
                name.1.durable = name.1.now();
                name.1.since.clear();
            }
        } else if let Some(inode) = found.flatten().map(|inode| &mut self.inodes[inode]) {
            for (_, change) in inode.since.drain(..) {
                change.apply(&mut inode.durable);
            }
        }
    }

    /// The content of a file as programs see it now.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let inode = &self.inodes[self.names.get(path)?.now()?];
        let mut content = inode.durable.clone();
        inode.since.iter().for_each(|(_, change)| change.apply(&mut content));
        Some(content)
    }

    /// How much of all this a cut may take: changes that are not synced.
    pub(crate) fn unsynced(&self) -> usize {
        let named: BTreeSet<usize> = self.names.values().filter_map(Name::now).collect();
        named.into_iter().map(|inode| self.inodes[inode].since.len()).sum()
    }

    /// Writes what the disk may hold after a cut now below `into`.
    pub(crate) fn cut(&self, style: Style, rng: &mut Rng, into: &Path) {
        let upto = rng.usize(self.oldest_unsynced()..=self.records + 1);
        for (path, name) in &self.names {
            let Some(inode) = pick_name(name, style, upto, rng) else { continue };
            let inode = &self.inodes[inode];
            let target = into.join(path.strip_prefix(&self.root).unwrap());
            // The names are in order: a directory comes before what lies in it.
            if !target.parent().unwrap().is_dir() {
                continue;
            }
            if inode.is_directory {
                fs::create_dir(&target).unwrap();
            } else {
                fs::write(&target, inode.after(style, upto, rng)).unwrap();
            }
        }
    }

    fn oldest_unsynced(&self) -> usize {
        let contents = self.inodes.iter().filter_map(|inode| inode.since.first().map(|(at, _)| *at));
        let names = self.names.values().filter_map(|name| name.since.first().map(|(at, _)| *at));
        // What was never synced for long is mostly the lock file, which says nothing.
        let oldest = contents.chain(names).filter(|at| at + 200 > self.records).min();
        oldest.unwrap_or(self.records)
    }
}

fn pick_name(name: &Name, style: Style, upto: usize, rng: &mut Rng) -> Option<usize> {
    match style {
        Style::Lost => name.durable,
        Style::Kept | Style::Hollow => name.now(),
        Style::Prefix => {
            name.since.iter().rfind(|(at, _)| *at < upto).map_or(name.durable, |(_, inode)| *inode)
        }
        Style::Torn { newest, .. } => match pick(name.since.len(), newest, rng) {
            0 => name.durable,
            number => name.since[number - 1].1,
        },
    }
}

/// Which of several states: 0 the durable one, else the number of the change that made it.
fn pick(changes: usize, newest: u8, rng: &mut Rng) -> usize {
    if rng.u8(0..100) < newest { changes } else { rng.usize(0..=changes) }
}

impl Inode {
    fn after(&self, style: Style, upto: usize, rng: &mut Rng) -> Vec<u8> {
        let mut content = self.durable.clone();
        match style {
            Style::Lost => {}
            Style::Kept => self.since.iter().for_each(|(_, change)| change.apply(&mut content)),
            Style::Prefix => {
                let early = self.since.iter().filter(|(at, _)| *at < upto);
                early.for_each(|(_, change)| change.apply(&mut content));
            }
            Style::Hollow => self.since.iter().for_each(|(_, change)| match change {
                Change::Write { offset, data } => {
                    content.resize(content.len().max(offset + data.len()), 0);
                }
                Change::Length(length) => content.resize(*length, 0),
            }),
            Style::Torn { unit, newest } => {
                let states = self.states(unit, newest, rng);
                content = states.base;
                for (number, states) in states.units {
                    let picked = pick(states.len(), newest, rng);
                    if picked > 0 {
                        let offset = number * unit;
                        Change::Write { offset, data: states[picked - 1].clone() }.apply(&mut content);
                    }
                }
                let length = states.lengths[pick(states.lengths.len() - 1, newest, rng)];
                content.resize(length, 0);
            }
        }
        content
    }

    /// What torn writes choose from. The file was shortened as often as a cut lets it be; what came after
    /// the next time is not there.
    fn states(&self, unit: usize, newest: u8, rng: &mut Rng) -> States {
        let mut states =
            States { base: self.durable.clone(), lengths: vec![self.durable.len()], ..States::default() };
        let mut content = self.durable.clone();
        let mut shortened = pick(self.shortened(), newest, rng);
        for (_, change) in &self.since {
            match change {
                Change::Length(length) if *length < content.len() => {
                    if shortened == 0 {
                        break;
                    }
                    shortened -= 1;
                    states.shorten(*length, unit);
                }
                Change::Length(length) => states.lengths.push(*length),
                Change::Write { .. } => {}
            }
            change.apply(&mut content);
            if let Change::Write { offset, data } = change {
                states.lengths.push(content.len());
                for number in offset / unit..(offset + data.len()).div_ceil(unit) {
                    let (start, end) = (number * unit, ((number + 1) * unit).min(content.len()));
                    let mut state = content[start..end].to_vec();
                    state.resize(unit, 0);
                    states.units.entry(number).or_default().push(state);
                }
            }
        }
        states
    }

    /// How often the file was shortened since the last sync.
    fn shortened(&self) -> usize {
        let mut length = self.durable.len();
        let shorter = self.since.iter().filter(|(_, change)| {
            let before = length;
            length = match change {
                Change::Write { offset, data } => length.max(offset + data.len()),
                Change::Length(length) => *length,
            };
            length < before
        });
        shorter.count()
    }
}

/// What a file may be made of.
#[derive(Debug, Default)]
struct States {
    /// The content that no write has reached.
    base: Vec<u8>,
    /// The lengths it may have, oldest first; there is one at least.
    lengths: Vec<usize>,
    /// The states through which each changed unit went, in order.
    units: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl States {
    /// What lay beyond the length is gone, and reads as zeros if the file grows again.
    fn shorten(&mut self, length: usize, unit: usize) {
        self.base.truncate(length);
        self.lengths = vec![length];
        self.units.retain(|number, _| number * unit < length);
        for state in self.units.get_mut(&(length / unit)).into_iter().flatten() {
            state[length % unit..].fill(0);
        }
    }
}
