//! The command line as types: one struct a command, read by clap.
//!
//! Only what this release does is here: a command or a flag that later releases bring is unknown, and clap says so. The global
//! flags hold for every command; `graph` alone has a `--format` of its own, which is why both share one type.

use std::{fmt, path::PathBuf};

use clap::{
    Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "dagwood",
    version,
    about = "Runs declarative workflows of hosted models, apps and agents",
    long_about = "Runs declarative workflows: YAML files that describe graphs of hosted model, app and agent runs.\n\
        Everything is checked before a credit is spent, and no job is ever paid for twice.",
    after_help = "Start with: dagwood run workflows/sketch-to-render.yaml --sandbox",
    disable_help_subcommand = true,
    infer_long_args = false
)]
pub(crate) struct Args {
    /// The flags that hold for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The flags that hold for every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// How output looks [default: human on a terminal, github in GitHub Actions, else plain]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = formats(&Format::OUTPUTS))]
    pub(crate) format: Option<Format>,
    /// When to use colours; `NO_COLOR` is obeyed
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    pub(crate) color: Option<Color>,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// The folder of journal and history [default: .dagwood at the project root]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The project file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) project: Option<PathBuf>,
}

/// A form of output: the first four hold everywhere, the others for `graph`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people at a terminal.
    Human,
    /// For programs.
    Json,
    /// For GitHub Actions: annotations.
    Github,
    /// For logs: no redraw.
    Plain,
    /// A graph in text.
    Ascii,
    /// A Mermaid diagram.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture.
    Svg,
}

impl Format {
    /// What every command but `graph` takes.
    const OUTPUTS: [Self; 4] = [Self::Human, Self::Json, Self::Github, Self::Plain];
    /// What `graph` takes.
    const PICTURES: [Self; 4] = [Self::Ascii, Self::Mermaid, Self::Dot, Self::Svg];
}

/// Returns a parser that takes just these of the formats; its type is the same for all, which global flags need.
fn formats(some: &[Format]) -> impl TypedValueParser<Value = Format> + use<> {
    let values: Vec<_> = some.iter().filter_map(ValueEnum::to_possible_value).collect();
    PossibleValuesParser::new(values)
        .map(|word| Format::from_str(&word, false).expect("a possible value is one of the formats"))
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow
    Run(Run),
    /// Go on with a run that stopped, failed or was cancelled
    Resume(Resume),
    /// Cancel a run of this or another process, its remote jobs included
    Cancel(Cancel),
    /// Check workflow files: syntax, references, types, contracts
    Validate(Validate),
    /// Show what a run would do: waves, requests, credits
    Plan(Plan),
    /// Draw a workflow, or a run by its status
    Graph(Graph),
    /// List models, or show one with its contract
    Models(Targets),
    /// List apps, or show one with its contract
    Apps(Targets),
    /// List agents, or show one with its contract
    Agents(Targets),
    /// Show credits and usage of each provider
    Account(Account),
    /// Write down the contracts of the workflows' targets, or check what has changed
    Lock(Lock),
    /// Write a project to start from, or a workflow for one target
    Init(Init),
    /// Check keys, accounts, clocks and folders
    Doctor(Doctor),
    /// List runs, the newest first, or remove old ones
    Runs(Runs),
    /// Show one run
    Show(Show),
    /// Show what happened in a run, event by event
    Logs(Logs),
    /// Show results that later runs reuse, forget them, or say why a run reused one or did not
    Cache(Cache),
    /// Start the emulator by itself, for other clients
    Sandbox(Sandbox),
    /// Print the JSON Schema of workflows, or of the project file
    Schema(Schema),
    /// Explain a diagnostic at length, with a wrong and a right example
    Explain(Explain),
}

/// Which workflow, with which inputs.
#[derive(clap::Args)]
pub(crate) struct Chosen {
    /// A path, or a name that stands for `workflows/NAME.yaml`
    pub(crate) workflow: String,
    /// An input: YAML, for text inputs the text as it is; `NAME=@FILE` reads a file's text
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// Inputs from a YAML or JSON file (`-`: from standard input); `-i` wins
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Option<PathBuf>,
    /// Use the built-in emulator: no key, no network, no credits
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Check against the contracts of `dagwood.lock`, and read none
    #[arg(long)]
    pub(crate) locked: bool,
    /// A script of faults for the emulator
    #[arg(long, value_name = "FILE", requires = "sandbox")]
    pub(crate) faults: Option<PathBuf>,
}

impl fmt::Debug for Chosen {
    /// Leaves the values of inputs out, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen").field("workflow", &self.workflow).finish_non_exhaustive()
    }
}

/// `dagwood run`
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// What to run.
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Only show what would happen (the same as `plan`)
    #[arg(long = "dry-run")]
    pub(crate) only_plan: bool,
    /// The folder for saved files, or a place such as s3://BUCKET/PREFIX [default: artifacts at the project root]
    #[arg(long, value_name = "PLACE")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Run only these steps; what they need comes from the last run of this workflow
    #[arg(long, value_name = "STEP", num_args = 1.., conflicts_with = "from")]
    pub(crate) only: Vec<String>,
    /// Run these steps and what follows from them; what comes before is taken from the last run of this workflow
    #[arg(long, value_name = "STEP", num_args = 1..)]
    pub(crate) from: Vec<String>,
    /// The run whose results are taken
    #[arg(long, value_name = "RUN")]
    pub(crate) of: Option<String>,
    /// The most credits that the run may spend
    #[arg(long, value_name = "N", value_parser = credits)]
    pub(crate) max_credits: Option<f64>,
    /// After a failure start everything that does not need the failed step (`failure_policy: continue`)
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Leave remote jobs running when a signal ends the run: `dagwood resume` goes on with them
    #[arg(long = "detach-on-signal")]
    pub(crate) detach: bool,
}

/// Reads a bound on credits.
fn credits(text: &str) -> Result<f64, String> {
    let most: f64 = text.parse().map_err(|_| "write a number of credits".to_owned())?;
    if most.is_finite() && most >= 0.0 { Ok(most) } else { Err("write a number of credits from 0 on".to_owned()) }
}

/// `dagwood resume`
#[derive(clap::Args)]
pub(crate) struct Resume {
    /// A run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// A secret input, which is not written down; with `--update` any input
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// Take the workflow as it is now, and run anew what has changed and what follows from it
    #[arg(long)]
    pub(crate) update: bool,
    /// With `--update`: check against the contracts of `dagwood.lock`, and read none
    #[arg(long, requires = "update")]
    pub(crate) locked: bool,
    /// The submit of this step, of which nobody could tell, was accepted as this job: take its result
    #[arg(long, value_name = "STEP=JOB")]
    pub(crate) adopt: Vec<String>,
    /// The submit of this step, of which nobody could tell, did not arrive: send it again
    #[arg(long, value_name = "STEP")]
    pub(crate) resubmit: Vec<String>,
    /// The most credits that the run may spend, what it has spent included
    #[arg(long, value_name = "N", value_parser = credits)]
    pub(crate) max_credits: Option<f64>,
    /// Leave remote jobs running when a signal ends the run
    #[arg(long = "detach-on-signal")]
    pub(crate) detach: bool,
}

impl fmt::Debug for Resume {
    /// Leaves the values of inputs out, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("run", &self.run).field("update", &self.update).finish_non_exhaustive()
    }
}

/// `dagwood cancel`
#[derive(clap::Args)]
pub(crate) struct Cancel {
    /// A run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// A secret input of a run whose process is gone
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
}

impl fmt::Debug for Cancel {
    /// Leaves the values of inputs out, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("run", &self.run).finish_non_exhaustive()
    }
}

/// `dagwood plan`
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// What to plan.
    #[command(flatten)]
    pub(crate) chosen: Chosen,
}

/// `dagwood validate`
#[derive(Debug, clap::Args)]
pub(crate) struct Validate {
    /// Files and folders [default: workflows]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read no contracts
    #[arg(long, conflicts_with_all = ["sandbox", "locked"])]
    pub(crate) offline: bool,
    /// Check against the contracts of `dagwood.lock`, and read none
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) locked: bool,
    /// Check against the contracts of the built-in emulator
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood graph`
#[derive(Debug, clap::Args)]
pub(crate) struct Graph {
    /// A workflow (path or name), or a run (id, unique prefix, `last`), which is coloured by status
    #[arg(value_name = "WORKFLOW|RUN")]
    pub(crate) subject: String,
    /// How it is drawn [default: ascii]
    // The same id as the global flag, whose place it takes.
    #[arg(id = "format", long = "format", value_name = "FORMAT", value_parser = formats(&Format::PICTURES))]
    pub(crate) picture: Option<Format>,
}

/// `dagwood models`, `dagwood apps` and `dagwood agents`
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// The id or name of one
    pub(crate) name: Option<String>,
    /// Only those of this provider
    #[arg(long, value_name = "ALIAS")]
    pub(crate) provider: Option<String>,
    /// Those of the built-in emulator
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood account`
#[derive(Debug, clap::Args)]
pub(crate) struct Account {
    /// Only that of this provider
    #[arg(long, value_name = "ALIAS")]
    pub(crate) provider: Option<String>,
    /// That of the built-in emulator
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood lock`
#[derive(Debug, clap::Args)]
pub(crate) struct Lock {
    /// Files and folders [default: workflows]; of files that are named, the lock keeps what it has of other targets
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write nothing: say what has changed, and which steps that breaks
    #[arg(long)]
    pub(crate) check: bool,
    /// The contracts of the built-in emulator, to try it: a lock for your accounts is written without this
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood init`
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// A workflow that runs this app
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "agent"])]
    pub(crate) app: Option<String>,
    /// A workflow that runs this model
    #[arg(long, value_name = "ID", conflicts_with = "agent")]
    pub(crate) model: Option<String>,
    /// A workflow that runs this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// The provider whose target it is
    #[arg(long, value_name = "ALIAS")]
    pub(crate) provider: Option<String>,
    /// A target of the built-in emulator
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood doctor`
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Check the built-in emulator instead of the accounts
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// `dagwood runs`
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Runs {
    /// What is done with them.
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only runs that stand so
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// Only runs with this label
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Option<String>,
    /// Only runs that began since then: a duration such as `2h`, a date, or a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Most runs to list
    #[arg(short = 'n', value_name = "N", default_value_t = 20)]
    pub(crate) number: usize,
}

/// What is done with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Remove old runs from the journal; saved files stay
    ///
    /// Runs that a process has in hand are never removed; those that were interrupted, and those with a submit of which nobody knows
    /// whether it was accepted, only with `--unfinished`. What a removed run knew of its jobs is kept as far as it keeps them from being
    /// taken for another run's.
    Prune(Prune),
}

/// `dagwood runs prune`
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("age").required(true).args(["older_than", "keep"])))]
pub(crate) struct Prune {
    /// Those that ended before then: a duration such as `720h`, a date, or a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    pub(crate) older_than: Option<String>,
    /// All but the newest N
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Also those that are not over, though no process has them in hand: they cannot be resumed then
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// Remove nothing: say what would be
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a run stands, as a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// Not over
    Running,
    /// Everything went well
    Succeeded,
    /// A step failed
    Failed,
    /// It was called off
    Cancelled,
    /// Nobody can tell whether a submit was accepted
    #[value(name = "submit_unknown")]
    SubmitUnknown,
}

/// `dagwood show`
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// A run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// `dagwood logs`
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// A run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// Go on until the run is over, or its process gone
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// `dagwood sandbox`
#[derive(Debug, clap::Args)]
pub(crate) struct Sandbox {
    /// The port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// A script of faults
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Credits of the account
    #[arg(long, value_name = "N")]
    pub(crate) credits: Option<f64>,
    /// Requests a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
}

/// `dagwood schema`
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// What files it is of
    #[arg(value_enum, default_value_t)]
    pub(crate) of: SchemaOf,
    /// Narrowed to the targets that the accounts of this workflow's project have, and their inputs
    #[arg(long = "for", value_name = "WORKFLOW")]
    pub(crate) workflow: Option<String>,
    /// Those of the built-in emulator
    #[arg(long, requires = "workflow")]
    pub(crate) sandbox: bool,
    /// Those of `dagwood.lock`; nothing is asked
    #[arg(long, requires = "workflow", conflicts_with = "sandbox")]
    pub(crate) locked: bool,
}

/// A kind of file that has a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Workflows
    #[default]
    Workflow,
    /// The project file, `dagwood.yaml`
    Project,
}

/// `dagwood cache`
#[derive(Debug, clap::Args)]
pub(crate) struct Cache {
    /// What is done.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// What is done with results that later runs reuse.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the results, the newest first
    Ls,
    /// Forget results: the next equal submit is sent again; saved files stay
    Rm(CacheRm),
    /// Say of each step of a run that has `cache` why it reused a result or did not
    Explain(CacheExplain),
}

/// `dagwood cache rm`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["key", "older_than", "all"]))]
pub(crate) struct CacheRm {
    /// The beginning of a key, as `dagwood cache ls` shows it
    #[arg(value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// All that are older: a duration such as `720h`, a date, or a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    pub(crate) older_than: Option<String>,
    /// All there are
    #[arg(long)]
    pub(crate) all: bool,
}

/// `dagwood cache explain`
#[derive(Debug, clap::Args)]
pub(crate) struct CacheExplain {
    /// A run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
    /// Only this step, or one item of it (`STEP[3]`)
    #[arg(value_name = "STEP")]
    pub(crate) step: Option<String>,
}

/// `dagwood explain`
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A code such as DW204; without one all are listed
    pub(crate) code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn graph_has_formats_of_its_own() {
        let args = Args::try_parse_from(["dagwood", "graph", "a", "--format", "svg"]).expect("a graph");
        let Some(Command::Graph(graph)) = args.command else { panic!("a graph") };
        assert_eq!(graph.picture, Some(Format::Svg));
        assert!(Args::try_parse_from(["dagwood", "graph", "a", "--format", "json"]).is_err());
        assert!(Args::try_parse_from(["dagwood", "runs", "--format", "svg"]).is_err());
        let args = Args::try_parse_from(["dagwood", "runs", "--format", "json"]).expect("runs");
        assert_eq!(args.global.format, Some(Format::Json));
    }

    #[test]
    fn what_later_releases_bring_is_unknown() {
        for line in [&["dagwood", "test"][..], &["dagwood", "run", "a", "--replay", "b"], &["dagwood", "completions"]] {
            assert!(Args::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
