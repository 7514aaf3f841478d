//! Tells the program how it was optimised, so that the rates it prints can say so.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=TOLLGATE_OPT_LEVEL={}", std::env::var("OPT_LEVEL").unwrap_or_default());
}
