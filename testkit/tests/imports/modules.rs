//! The modules of a crate, and the file in which each name that one of them uses stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, MetaList, UseTree};

/// One file takes these names from another.
pub(crate) type Imports = BTreeMap<(String, String), BTreeSet<String>>;

type Names = Vec<String>;

struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// A name that a `use` brings, and what it stands for.
    aliases: BTreeMap<String, Names>,
    globs: Vec<Names>,
    /// Every path that is written in this module, `use` or not.
    paths: Vec<Names>,
    items: BTreeSet<String>,
}

/// What a path leads to: a module, or something that stands in one.
enum Target {
    Module(usize),
    ItemOf(usize),
}

#[derive(Default)]
pub(crate) struct Modules(Vec<Module>);

impl Modules {
    /// Reads the crate whose `lib.rs` or `main.rs` this is. Files are named from `root` on.
    pub(crate) fn read_crate(&mut self, root: &Path, file: &Path) {
        self.read_file(root, file, file.parent().unwrap(), None);
    }

    pub(crate) fn files(&self) -> BTreeSet<&str> {
        self.0.iter().map(|module| module.file.as_str()).collect()
    }

    /// Reads a module that is a file; those below it lie in `folder`.
    fn read_file(&mut self, root: &Path, file: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let module = self.begin(name, parent);
        Reader { modules: self, module, root, folder: folder.to_owned() }.visit_file(&parsed);
        module
    }

    fn begin(&mut self, file: String, parent: Option<usize>) -> usize {
        self.0.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            aliases: BTreeMap::new(),
            globs: Vec::new(),
            paths: Vec::new(),
            items: BTreeSet::new(),
        });
        self.0.len() - 1
    }

    /// Who imports what from whom. A name that a file hands on (`pub use`) is taken from where it stands and from
    /// whoever hands it on; but for a crate's root, which hands out what the crate is for.
    pub(crate) fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (index, module) in self.0.iter().enumerate() {
            for path in &module.paths {
                // A module alone is no use of what its file says; what is named through it is.
                let mut through = Vec::new();
                let Some(Target::ItemOf(other)) = self.find(index, path, &mut through) else { continue };
                through.retain(|hand| self.0[*hand].parent.is_some());
                for taken_from in through.into_iter().chain([other]) {
                    let (from, to) = (module.file.clone(), self.0[taken_from].file.clone());
                    if from != to {
                        imports
                            .entry((from, to))
                            .or_default()
                            .insert(path.last().cloned().unwrap_or_default());
                    }
                }
            }
        }
        imports
    }

    /// What a path that is written in this module leads to, and `through` which modules that hand it on; none in
    /// another crate.
    fn find(&self, from: usize, path: &[String], through: &mut Vec<usize>) -> Option<Target> {
        // An alias may name itself: `use tracing;`.
        if through.len() > 20 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Target::Module(self.root_of(from)),
            "self" => Target::Module(from),
            "super" => Target::Module(self.0[from].parent?),
            name => self.member(from, name, through)?,
        };
        while let (Target::Module(module), Some((name, others))) = (&at, rest.split_first()) {
            at = match name.as_str() {
                "super" => Target::Module(self.0[*module].parent?),
                "self" => Target::Module(*module),
                // What stands for a whole module in a glob.
                "*" => Target::ItemOf(*module),
                name => self.member(*module, name, through)?,
            };
            rest = others;
        }
        Some(at)
    }

    fn member(&self, module: usize, name: &str, through: &mut Vec<usize>) -> Option<Target> {
        let here = &self.0[module];
        if let Some(child) = here.children.get(name) {
            return Some(Target::Module(*child));
        }
        if here.items.contains(name) {
            return Some(Target::ItemOf(module));
        }
        if let Some(path) = here.aliases.get(name) {
            through.push(module);
            return self.find(module, path, through);
        }
        here.globs.iter().find_map(|glob| {
            let mut by_glob = [through.as_slice(), &[module]].concat();
            let found = match self.find(module, glob, &mut by_glob)? {
                Target::Module(other) if other != module => self.member(other, name, &mut by_glob)?,
                _ => return None,
            };
            *through = by_glob;
            Some(found)
        })
    }

    fn root_of(&self, mut module: usize) -> usize {
        while let Some(parent) = self.0[module].parent {
            module = parent;
        }
        module
    }
}

/// Goes through the items of one module.
struct Reader<'a> {
    modules: &'a mut Modules,
    module: usize,
    root: &'a Path,
    folder: PathBuf,
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        &mut self.modules.0[self.module]
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, alias) = match tree {
            UseTree::Path(path) => return self.use_tree(&with(&path.ident), &path.tree),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.use_tree(before, tree)),
            UseTree::Glob(_) => {
                self.here().globs.push(before.to_vec());
                return self.here().paths.push([before, &["*".to_owned()]].concat());
            }
            UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
        };
        if let Some(alias) = alias {
            self.here().aliases.insert(alias, path.clone());
        }
        self.here().paths.push(path);
    }

    /// Paths in what only a macro understands.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Names = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                _ => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
        self.path(path);
    }

    fn path(&mut self, path: Names) {
        // A name alone stands here, or a `use` has brought it and is counted itself.
        if path.len() > 1 {
            self.here().paths.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        if let Some(name) = name {
            self.here().items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        // The file of `r#return` is called as it would be without its mark.
        let file_name = name.trim_start_matches("r#");
        let folder = self.folder.join(file_name);
        let child = match &item.content {
            None => {
                let file = self.folder.join(format!("{file_name}.rs"));
                self.modules.read_file(self.root, &file, &folder, Some(self.module))
            }
            Some((_, items)) => {
                let file = self.here().file.clone();
                let child = self.modules.begin(file, Some(self.module));
                let mut reader = Reader { modules: self.modules, module: child, root: self.root, folder };
                items.iter().for_each(|item| reader.visit_item(item));
                child
            }
        };
        self.here().children.insert(name, child);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}
