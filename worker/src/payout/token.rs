//! The gateway's bearer token.

use std::fmt;
use std::path::PathBuf;

use tollgate::env;

/// The file's content, or the variable's.
pub(super) fn read_token(file: Option<&PathBuf>) -> Result<Option<String>, String> {
    let token = match file {
        None => env::text(env::TOLLGATE_PAYOUT_TOKEN),
        Some(path) => {
            let wrong =
                |problem: &dyn fmt::Display| format!("--payout-token-file {}: {problem}", path.display());
            Some(std::fs::read_to_string(path).map_err(|problem| wrong(&problem))?)
        }
    };
    let token =
        token.map(|token| token.trim_end_matches(['\r', '\n']).to_owned()).filter(|token| !token.is_empty());
    match token {
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("the payout token: must be printable ASCII without spaces".to_owned())
        }
        token => Ok(token),
    }
}
