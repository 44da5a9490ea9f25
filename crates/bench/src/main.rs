//! Essaim's side of the benchmarks, and the pairs with its peers.
//!
//! Promise: each subcommand but `all` measures one thing in its own process and prints one JSON
//! line; `all` runs ours and the peer's in turn and writes medians of pairs into a table.

mod detect;
mod generate;
mod head_memory;
mod learn;
mod pairs;
mod shapes;
mod shared_prompt;
mod step;
mod table;
mod verify;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: head_memory::Counting = head_memory::Counting;

#[derive(Parser)]
#[command(name = "essaim-bench", about = "Essaim beside its peers, in pairs on the same machine")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One training step (forward, backward, AdamW), tokens per second.
    Step(step::StepArguments),
    /// One training step over completions of one prompt, beside the same with a prompt for each.
    SharedPrompt(shared_prompt::SharedPromptArguments),
    /// Generation from random weights, tokens per second.
    Generate(generate::GenerateArguments),
    /// Peak extra memory of the language-model head and loss.
    HeadMemory(head_memory::HeadMemoryArguments),
    /// A whole run of `essaim`: seconds to a reward, samples per second.
    Learn(learn::LearnArguments),
    /// Cost of proofs and checks beside generation.
    Verify(verify::VerifyArguments),
    /// How far honest machines are apart, and how soon liars are caught.
    Detect(detect::DetectArguments),
    /// Pairs with the peers, medians, and the table.
    All(pairs::PairsArguments),
}

/// As the `essaim` binary does it.
fn keep_freed_pages() {
    /// `mi_option_purge_delay` of mimalloc 2, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: no other thread runs yet, and an unknown option is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000) };
}

fn main() -> Result<()> {
    keep_freed_pages();
    let line = match Cli::parse().what {
        What::Step(arguments) => step::measure(&arguments)?,
        What::SharedPrompt(arguments) => shared_prompt::measure(&arguments)?,
        What::Generate(arguments) => generate::measure(&arguments)?,
        What::HeadMemory(arguments) => head_memory::measure(&arguments)?,
        What::Learn(arguments) => learn::measure(&arguments)?,
        What::Verify(arguments) => verify::measure(&arguments)?,
        What::Detect(arguments) => detect::measure(&arguments)?,
        What::All(arguments) => return pairs::run(&arguments),
    };
    println!("{line}");
    Ok(())
}
