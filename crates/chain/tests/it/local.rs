//! The chain in this process, and its journal.

use crate::stage::Stage;
use crate::stories::play_all;

play_all!(Some(Stage::local()));
