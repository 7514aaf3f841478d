//! The text of a script: its files, put together in their order, so that an error can name the file and its line.

use sha1::{Digest, Sha1};

/// A file of Lua.
#[derive(Debug)]
pub(crate) struct File {
    /// Below `lua/`.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// The file of this name below `lua/`.
macro_rules! file {
    ($name:expr) => {
        $crate::scripts::script::text::File {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $name)),
        }
    };
}
pub(crate) use file;

/// What stands between a script's header and its code.
#[derive(Debug)]
pub(crate) enum Part {
    /// A file as it is.
    File(File),
    /// Files that few calls need, as the body of one function of this name and these parameters: what it costs a call to
    /// make their functions and tables is paid by those that call it. Those that stand as they are, or in a function
    /// before this one, are left out.
    Function(&'static str, &'static [File]),
}

impl Part {
    /// Its files, without those that stand as they are beside it.
    pub(super) fn files<'a>(&'a self, beside: &'a [Part]) -> impl Iterator<Item = &'a File> + use<'a> {
        let (files, is_file) = match self {
            Self::File(file) => (std::slice::from_ref(file), true),
            Self::Function(_, files) => (*files, false),
        };
        let before = beside.iter().take_while(move |part| !std::ptr::eq(*part, self));
        let elsewhere: Vec<&str> = beside
            .iter()
            .filter(|part| matches!(part, Self::File(_)))
            .chain(before)
            .flat_map(|part| match part {
                Self::File(own) => std::slice::from_ref(own),
                Self::Function(_, own) => own,
            })
            .map(|file| file.name)
            .collect();
        files.iter().filter(move |file| is_file || !elsewhere.contains(&file.name))
    }
}

/// Lua that several scripts share.
pub(crate) mod parts {
    use super::Part;

    macro_rules! part {
        ($static:ident, $name:expr) => {
            pub(crate) const $static: Part = Part::File(file!($name));
        };
    }
    part!(NUMBERS, "parts/numbers.lua");
    part!(CHECKS, "parts/checks.lua");
    part!(PARKED_ROW, "parts/parked_row.lua");
    part!(DEAD_COUNT, "parts/dead_count.lua");
    part!(RECEIPT, "parts/receipt.lua");
    part!(COUNTED, "parts/counted.lua");
    part!(CLOCK, "parts/clock.lua");
    part!(GROUP, "parts/group.lua");
    part!(QUEUE_FIELDS, "parts/queue_fields.lua");
    part!(FORMAT, "parts/format.lua");
    part!(HEAD_COUNTERS, "parts/head_counters.lua");
    part!(IN_FLIGHT, "parts/in_flight.lua");
    part!(ROW, "parts/row.lua");
    part!(ROWS, "parts/rows.lua");
    part!(ENTRIES, "parts/entries.lua");
    part!(QUEUE_STATE, "parts/queue_state.lua");
    part!(PARTITION_STATS, "parts/partition_stats.lua");
    part!(JOURNAL_NOTE, "parts/journal_note.lua");
    part!(QUEUE_STREAMS, "parts/queue_streams.lua");
    part!(REQUEUE, "parts/requeue.lua");
}

/// The text as Redis runs it.
pub(crate) struct Assembled {
    pub(super) text: String,
    /// Where each file begins: the line of the text, which line of the file that is, and the file.
    begins: Vec<(usize, usize, &'static str)>,
    /// How many lines it has.
    lines: usize,
    pub(super) sha: String,
    pub(super) reads_only: bool,
}

/// What is replaced in the text of a file, wherever it occurs, and by what: for bugs that a test plants.
pub(crate) type Edit = (&'static str, &'static str);

impl Assembled {
    pub(super) fn of(main: &File, parts: &[Part], edits: &[Edit]) -> Self {
        let edited =
            |text: &str| edits.iter().fold(text.to_owned(), |text, (find, other)| text.replace(find, other));
        let main_text = edited(main.text);
        let is_header = |line: &&str| line.starts_with("#!") || line.starts_with("--");
        let header: usize = main_text.split_inclusive('\n').take_while(is_header).map(str::len).sum();
        let (header, code) = main_text.split_at(header);
        let mut assembled = Self {
            text: String::new(),
            begins: vec![(1, 1, main.name)],
            lines: 0,
            sha: String::new(),
            reads_only: header.starts_with("#!lua flags=no-writes"),
        };
        assembled.add(header);
        for part in parts {
            match part {
                Part::File(file) => assembled.push(file.name, &edited(file.text), 1),
                Part::Function(name, _) => {
                    assembled.add(&format!("local function {name}\n"));
                    part.files(parts).for_each(|file| assembled.push(file.name, &edited(file.text), 1));
                    assembled.add("end\n");
                }
            }
        }
        assembled.push(main.name, code, header.lines().count() + 1);
        assembled.sha =
            Sha1::digest(assembled.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assembled
    }

    /// Adds what follows in `file` from its line `line` on.
    fn push(&mut self, file: &'static str, text: &str, line: usize) {
        self.add(&format!("-- file: {file}\n"));
        self.begins.push((self.lines + 1, line, file));
        self.add(text.trim_end());
        self.add("\n");
    }

    /// Adds text of which each line ends, now or by what is added next.
    fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.lines += text.matches('\n').count();
    }

    /// `words` of Redis, with `<file>:<line>` where they name a line of the whole text.
    pub(crate) fn locate(&self, words: &str) -> String {
        const NAMED: &str = "user_script:";
        let mut located = String::with_capacity(words.len());
        let mut rest = words;
        while let Some((before, after)) = rest.split_once(NAMED) {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (line, after) = after.split_at(digits);
            located.push_str(before);
            match line.parse().ok().and_then(|line| self.file_line(line)) {
                Some((file, line)) => located.push_str(&format!("{file}:{line}")),
                None => located.push_str(&format!("{NAMED}{line}")),
            }
            rest = after;
        }
        located + rest
    }

    fn file_line(&self, line: usize) -> Option<(&'static str, usize)> {
        let (begin, first, file) = self.begins.iter().rev().find(|(begin, ..)| *begin <= line)?;
        Some((file, line - begin + first))
    }
}
