//! Keys from the environment: the one place where the variables are named.

use std::path::Path;

use alloy_primitives::hex;
use zeroize::Zeroizing;

use super::{Wallet, WalletError};

/// Names the variable with a secret key in hexadecimal digits.
pub const KEY: &str = "ESSAIM_KEY";
/// Names the variable with the path of a keystore file.
pub const KEYSTORE: &str = "ESSAIM_KEYSTORE";
/// Names the variable with the keystore's password.
pub const PASSWORD: &str = "ESSAIM_PASSWORD";
/// Names the variable with the path of a file whose first line is the keystore's password.
pub const PASSWORD_FILE: &str = "ESSAIM_PASSWORD_FILE";

/// Most bytes of a password file that are read.
const PASSWORD_BYTES_MAX: u64 = 4096;

impl Wallet {
    /// The wallet that the environment names, or none if it names none.
    ///
    /// `variable` looks a variable up. Either `ESSAIM_KEY`, or `ESSAIM_KEYSTORE` with `ESSAIM_PASSWORD` or
    /// `ESSAIM_PASSWORD_FILE`; both ways at once are refused, for nobody could say which was meant.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, WalletError> {
        let look = |name| variable(name).filter(|value| !value.is_empty()).map(Zeroizing::new);
        match (look(KEY), look(KEYSTORE)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(WalletError::Environment("ESSAIM_KEY and ESSAIM_KEYSTORE are both set; unset one"))
            }
            (Some(key), None) => from_hex(&key).map(Some),
            (None, Some(path)) => {
                let password = password(look(PASSWORD), look(PASSWORD_FILE))?;
                let opened = Self::from_keystore(Path::new(path.as_str()), password.as_bytes());
                opened.map(Some).map_err(|error| match error {
                    WalletError::File { cause, .. } => WalletError::NoFile { variable: KEYSTORE, cause },
                    other => other,
                })
            }
        }
    }
}

fn from_hex(key: &str) -> Result<Wallet, WalletError> {
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key.trim(), &mut *secret).map_err(|_| WalletError::NotAKey { origin: KEY.into() })?;
    Wallet::from_secret(&secret, KEY)
}

fn password(
    given: Option<Zeroizing<String>>,
    file: Option<Zeroizing<String>>,
) -> Result<Zeroizing<String>, WalletError> {
    match (given, file) {
        (Some(password), None) => Ok(password),
        (None, Some(path)) => read_password(Path::new(path.as_str())),
        (Some(_), Some(_)) => {
            Err(WalletError::Environment("ESSAIM_PASSWORD and ESSAIM_PASSWORD_FILE are both set; unset one"))
        }
        (None, None) => {
            Err(WalletError::Environment("ESSAIM_KEYSTORE is set; set ESSAIM_PASSWORD or ESSAIM_PASSWORD_FILE too"))
        }
    }
}

/// First line of a password file, as `ESSAIM_PASSWORD_FILE` names one. Errors: `NoFile`, without the path.
pub fn read_password(path: &Path) -> Result<Zeroizing<String>, WalletError> {
    use std::io::Read as _;
    let fail = |cause| WalletError::NoFile { variable: PASSWORD_FILE, cause };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path).map_err(fail)?.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
    // Some editors begin a file with a mark of its encoding.
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Option<Wallet>, WalletError> {
        Wallet::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        })
    }

    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    #[test]
    fn the_key_may_stand_in_the_environment_itself() {
        let wallet = with(&[(KEY, SECRET)]).unwrap().unwrap();
        assert_eq!(wallet.to_string(), "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b");
        assert_eq!(with(&[(KEY, &format!("0x{SECRET}"))]).unwrap().unwrap(), wallet);
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&[(KEY, "")]).unwrap(), None);
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_repeating_it() {
        for key in ["12345678secret", &SECRET[1..], &format!("{SECRET}00")] {
            let error = with(&[(KEY, key)]).unwrap_err();
            assert!(error.to_string().contains("ESSAIM_KEY"), "{error}");
            assert!(!format!("{error:?} {error}").contains(&key[1..9]), "{error}");
        }
    }

    #[test]
    fn variables_that_contradict_or_miss_each_other_are_named() {
        let both = with(&[(KEY, SECRET), (KEYSTORE, "wallet.json")]).unwrap_err();
        assert_eq!(both.to_string(), "ESSAIM_KEY and ESSAIM_KEYSTORE are both set; unset one");
        let missing = with(&[(KEYSTORE, "wallet.json")]).unwrap_err();
        assert_eq!(missing.to_string(), "ESSAIM_KEYSTORE is set; set ESSAIM_PASSWORD or ESSAIM_PASSWORD_FILE too");
        let twice = with(&[(KEYSTORE, "w"), (PASSWORD, "a"), (PASSWORD_FILE, "b")]).unwrap_err();
        assert_eq!(twice.to_string(), "ESSAIM_PASSWORD and ESSAIM_PASSWORD_FILE are both set; unset one");
    }

    #[test]
    fn a_keystore_opens_with_the_first_line_of_the_password_file() {
        let folder = tempfile::tempdir().unwrap();
        let (store, password) = (folder.path().join("wallet.json"), folder.path().join("password"));
        let wallet = Wallet::generate().unwrap();
        wallet.save(&store, b"correct horse").unwrap();
        std::fs::write(&password, "correct horse\nsecond line\n").unwrap();
        let variables = [(KEYSTORE, store.to_str().unwrap()), (PASSWORD_FILE, password.to_str().unwrap())];
        assert_eq!(with(&variables).unwrap(), Some(wallet));
    }

    #[test]
    fn a_secret_in_a_variable_that_names_a_file_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "correct horse").unwrap();
        let password = password.to_str().unwrap();
        let long = "correct horse ".repeat(100);
        let cases = [
            (KEYSTORE, [(KEYSTORE, SECRET), (PASSWORD_FILE, password)]),
            (PASSWORD_FILE, [(KEYSTORE, "wallet.json"), (PASSWORD_FILE, "correct horse")]),
            (PASSWORD_FILE, [(KEYSTORE, "wallet.json"), (PASSWORD_FILE, &long)]),
        ];
        for (variable, variables) in cases {
            let error = with(&variables).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(error.to_string().starts_with(&format!("{variable} must name a file")), "{error}");
            assert!(!told.contains(&SECRET[..8]) && !told.contains("horse"), "{told}");
        }
    }
}
