//! The code in docs/locks.md is that of an example, which is compiled with every warning denied.

const PAGE: &str = include_str!("../../../../docs/locks.md");
const EXAMPLE: &str = include_str!("../../../examples/locks.rs");

fn squeezed(code: &str) -> String {
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_code_of_the_page_is_that_of_the_example() {
    let example = squeezed(EXAMPLE);
    let blocks: Vec<&str> =
        PAGE.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "a lock and a fence");
    for block in blocks {
        assert!(example.contains(&squeezed(block)), "not in the example:\n{block}");
    }
}
