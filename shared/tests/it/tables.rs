//! Tables in the documentation that are written from the code, between `<!-- NAME: begin -->` and `end`.

use std::path::Path;

/// Compares the table called `name` in `page` with what the code says; with `UPDATE_DOCS` set, writes it.
pub(crate) fn assert_written(page: &str, name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&begin).expect("the table's beginning is marked");
    let (found, after) = rest.split_once(&end).expect("the table's end is marked");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, &begin, table, &end, after].concat()).unwrap();
        return;
    }
    assert_eq!(found, table, "{page}: run UPDATE_DOCS=1 cargo test -p tollgate --test it _doc");
}
