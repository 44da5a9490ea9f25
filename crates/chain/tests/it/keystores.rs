//! Key files as wallets write them, beside what eth-keyfile finds in them.

use std::path::Path;

use alloy_primitives::{B256, hex};
use chain::{Wallet, WalletError};
use serde_json::Value;

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

/// Writes the file of a case and opens it.
fn open(folder: &Path, case: &Value) -> Result<Wallet, WalletError> {
    let path = folder.join("wallet.json");
    std::fs::write(&path, case["file"].to_string()).unwrap();
    Wallet::from_keystore(&path, text(case, "password").as_bytes())
}

#[test]
fn key_files_open_as_eth_keyfile_opens_them_and_what_is_refused_is_named() {
    let corpus: Value = serde_json::from_str(include_str!("../compat/keystores.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cases = corpus["cases"].as_array().unwrap();
    assert!(cases.len() >= 70, "{}", cases.len());
    for case in cases {
        let name = text(case, "name");
        match (open(folder.path(), case), case["refused"].as_str()) {
            (Ok(wallet), None) => {
                let secret: B256 = text(case, "secret").parse().unwrap();
                assert_eq!(wallet, Wallet::from_secret(&secret, "the corpus").unwrap(), "{name}");
            }
            (Err(error), Some(words)) => {
                let error = error.to_string();
                assert!(error.contains(words), "{name}: {error:?} should hold {words:?}");
            }
            (Ok(wallet), Some(_)) => panic!("{name}: opened as {wallet}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn no_refusal_repeats_what_is_in_the_file() {
    let secret = hex::encode([0x5a; 32]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.json");
    let forms = [
        secret.clone(),
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"version\": \"{secret}\"}}"),
        format!("{{\"version\": 3, \"crypto\": \"{secret}\"}}"),
        format!("{{\"version\": 3, \"crypto\": {{\"cipher\": \"{secret}\"}}}}"),
        format!("{{\"{secret}\": 1, \"{}\": 2}}", secret.to_uppercase()),
        format!("{{\"version\": 3, \"crypto\": {{\"cipher\": \"aes-128-ctr\", \"ciphertext\": \"{secret}q\"}}}}"),
    ];
    for form in forms {
        std::fs::write(&path, &form).unwrap();
        let error = Wallet::from_keystore(&path, b"correct horse").unwrap_err();
        assert!(matches!(error, WalletError::NotAKeystore { .. }), "{form}: {error}");
        assert!(!format!("{error} {error:?}").to_lowercase().contains(&secret[..8]), "{form}: {error}");
    }
}
