//! `essaim tasks`: what can be trained on, with items, and whether the graders are worth obeying.

use crate::cli::TasksArgs;
use crate::config::{self, Sources};
use crate::context::Context;
use crate::data;
use crate::ending::Ending;
use anyhow::Context as _;
use record::output;
use serde::Serialize;
use tasks::{AdmissionReport, Message, Split, TaskSpec};

/// One task as `--json` prints it.
#[derive(Serialize)]
struct Shown {
    name: String,
    spec: TaskSpec,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<ShownItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admission: Option<AdmissionReport>,
}

#[derive(Serialize)]
struct ShownItem {
    prompt: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
    answer: String,
}

/// Prints the tasks of the run files, or all built-in ones.
pub(crate) fn tasks(args: &TasksArgs, context: &Context) -> anyhow::Result<Ending> {
    let from_files = !args.files.is_empty() || !args.sets.is_empty();
    let specs: Vec<(String, TaskSpec)> = if from_files {
        let sources = Sources { files: args.files.clone(), sets: args.sets.clone(), device: None };
        let entries = config::resolve_tasks(&sources)?;
        let names = config::task_names(&entries);
        names.into_iter().zip(entries.into_iter().map(|entry| entry.spec)).collect()
    } else {
        TaskSpec::catalogue().into_iter().map(|spec| (spec.type_name().to_owned(), spec)).collect()
    };
    for (name, spec) in specs {
        // In the catalogue the tasks with a file have only a placeholder for it.
        let shown = if from_files || spec.columns().is_none() {
            look(name, spec, args)?
        } else {
            Shown { name, spec, items: Vec::new(), admission: None }
        };
        if context.global.json {
            output::print_line(&serde_json::to_string(&shown)?)?;
        } else {
            output::print(&text(&shown))?;
        }
    }
    Ok(Ending::Done)
}

fn look(name: String, spec: TaskSpec, args: &TasksArgs) -> anyhow::Result<Shown> {
    let task = data::build_task(&spec).with_context(|| format!("task {name}"))?;
    let items = (0..args.items)
        .map(|index| {
            let item = task.item(args.seed, Split::Train, index)?;
            Ok(ShownItem { answer: task.oracle(&item), prompt: item.prompt, messages: item.messages })
        })
        .collect::<Result<_, tasks::TaskError>>()?;
    let admission = if args.admit { Some(tasks::admit(task.as_ref(), args.seed)?) } else { None };
    Ok(Shown { name, spec, items, admission })
}

fn text(shown: &Shown) -> String {
    let mut text = tasks::describe(&shown.spec) + "\n";
    if shown.name != shown.spec.type_name() {
        text += &format!("Name: {}\n", shown.name);
    }
    for item in &shown.items {
        text += &format!("Item: {}\n  is answered by {}\n", item.prompt, item.answer);
    }
    if let Some(report) = &shown.admission {
        text += &report.to_string();
    }
    text + "\n"
}
