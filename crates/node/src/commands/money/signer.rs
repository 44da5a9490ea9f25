//! Whose key signs: a party of a local run, a keystore, or what the environment names.
//!
//! Promise: a secret or password is never an argument, never printed, and never written but encrypted.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use chain::Wallet;
use chain::wallet::{KEY, KEYSTORE, PASSWORD, PASSWORD_FILE, read_password};

use super::place::Place;
use super::{account, wrong_usage};
use crate::cli::SignerArgs;

/// Fewest characters of the password of a new wallet.
const PASSWORD_CHARS_MIN: usize = 8;

/// The wallet that signs. Errors if none was named, or one that may not be used here.
pub(super) fn wallet(args: &SignerArgs, place: &Place) -> Result<Wallet> {
    match named(args, Some(place))? {
        Some(wallet) => Ok(wallet),
        None => Err(wrong_usage(format!(
            "whose wallet? --wallet KEYSTORE, {KEYSTORE} or {KEY} in the environment, or --as PARTY for the chain of a run"
        ))),
    }
}

/// The same where a command can do without.
pub(super) fn named(args: &SignerArgs, place: Option<&Place>) -> Result<Option<Wallet>> {
    if let Some(party) = &args.acting {
        return acting(party, place).map(Some);
    }
    match &args.wallet {
        Some(path) => opened(path).map(Some),
        None => Ok(Wallet::from_environment(variable)?),
    }
}

/// A party's wallet, whose key everybody can compute who has the run file.
fn acting(party: &str, place: Option<&Place>) -> Result<Wallet> {
    let parties = place.map(Place::parties).transpose()?.flatten();
    let (Some(place), Some(parties)) = (place, parties) else {
        return Err(wrong_usage(format!("--as {party} needs the folder of a run: --chain RUN_DIR")));
    };
    if !place.is_for_trying() {
        bail!("--as {party}: keys that follow from a run's seed are for its own chain and for development chains");
    }
    account::wallet(party, &parties)
}

fn opened(path: &Path) -> Result<Wallet> {
    // A file that is not there is told before anybody types a password.
    std::fs::metadata(path).with_context(|| format!("--wallet {}", path.display()))?;
    let password = password(&format!("password of {}: ", path.display()), false)?;
    Ok(Wallet::from_keystore(path, password.as_bytes())?)
}

/// A password from the environment, else from the terminal; a new one is asked for twice.
pub(super) fn password(prompt: &str, is_new: bool) -> Result<String> {
    let password = match (variable(PASSWORD), variable(PASSWORD_FILE)) {
        (Some(_), Some(_)) => bail!("{PASSWORD} and {PASSWORD_FILE} are both set; unset one"),
        (Some(password), None) => password,
        (None, Some(path)) => read_password(Path::new(&path))?.to_string(),
        (None, None) => typed(prompt, is_new)?,
    };
    if is_new && password.chars().count() < PASSWORD_CHARS_MIN {
        bail!("the password is too short: limit at least {PASSWORD_CHARS_MIN} characters");
    }
    Ok(password)
}

fn typed(prompt: &str, is_new: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(wrong_usage(format!(
            "there is no terminal to ask for the password: set {PASSWORD} or {PASSWORD_FILE}"
        )));
    }
    let terminal = console::Term::stderr();
    let ask = |prompt: &str| -> Result<String> {
        terminal.write_str(prompt)?;
        Ok(terminal.read_secure_line()?)
    };
    let password = ask(prompt)?;
    if is_new && ask("the same again: ")? != password {
        bail!("the two passwords differ");
    }
    Ok(password)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
