//! The codes of diagnostics. A number is never reused; the hundreds say which stage speaks: 1 reading, 2 contracts,
//! 3 templates, 4 the plan, 5 the inputs of a run, 6 providers, 7 other files.

use std::{fmt, str::FromStr};

use serde::Serialize;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// The kind of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code { $($(#[doc = $doc])+ $name = $number,)+ }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns what the code stands for, in one line.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

// A macro, so that a code, its number and its title cannot part.
codes! {
    /// The file is not valid YAML
    Syntax = 101,
    /// A key stands twice in one map
    DuplicateKey = 102,
    /// A key that the language does not have
    UnknownKey = 103,
    /// A value of the wrong kind
    WrongKind = 104,
    /// A key that must be there is not
    MissingKey = 105,
    /// More than one YAML document in a file
    SeveralDocuments = 106,
    /// A YAML tag
    Tag = 107,
    /// A key that is not a string
    KeyNotString = 108,
    /// The file is too large, too deep, or expands to too much
    TooLarge = 109,
    /// The file cannot be read as UTF-8 text
    NotText = 110,
    /// A template that YAML takes for a map, because it has no quotes
    UnquotedTemplate = 111,
    /// A number with a leading zero
    LeadingZero = 112,
    /// A tab where YAML wants spaces
    Tab = 113,
    /// A version of the language that is not known
    Version = 114,
    /// A name that is not allowed
    BadName = 116,
    /// A duration that cannot be read
    BadDuration = 117,
    /// A step with no verb, or with several
    Verb = 118,
    /// A key that does not go with the step's verb
    KeyOfOtherVerb = 119,
    /// An alias without its anchor
    UnknownAlias = 120,
    /// The file holds no workflow
    NoWorkflow = 121,
    /// The declaration of an input is not a schema
    BadInputSchema = 122,
    /// A merge key whose value cannot be merged
    BadMerge = 123,
    /// A value outside what the key allows
    OutOfRange = 124,
    /// A list that names something twice
    Twice = 125,

    /// The API has no such model, app or agent
    UnknownTarget = 201,
    /// Several apps or agents have this name
    AmbiguousTarget = 202,
    /// A name fits several inputs of the target
    AmbiguousInput = 203,
    /// The target has no such input
    UnknownInput = 204,
    /// A required input of the target is missing
    MissingInput = 205,
    /// A value of the wrong type for the target's input
    InputType = 206,
    /// A value outside the published options
    NotAnOption = 207,
    /// A value outside the published range
    OutsideRange = 208,
    /// Two keys name one input of the target
    SameInputTwice = 209,
    /// A list where one value is wanted, or the other way round
    ListOrOne = 210,
    /// A setting that the model does not publish
    UnknownSetting = 211,
    /// Media of the wrong kind
    WrongMedia = 212,
    /// Inputs that do not fit the contract together
    InputsTogether = 214,
    /// The target has no such mode
    UnknownMode = 215,
    /// A scope that the API refuses, or one that is missing
    BadScope = 216,
    /// A key that only the platform may set
    PlatformKey = 217,
    /// `params` or `options` that do not fit
    BadParams = 218,

    /// A template that cannot be read
    TemplateSyntax = 301,
    /// A name that templates do not have
    UnknownName = 302,
    /// An input that the workflow does not declare
    UndeclaredInput = 303,
    /// A var that is not defined, or only later
    UndefinedVar = 304,
    /// A secret that the workflow does not declare
    UndeclaredSecret = 305,
    /// A step that does not exist
    UnknownStep = 306,
    /// A field that a result does not have
    UnknownField = 307,
    /// A computed step name
    ComputedStep = 308,
    /// A secret in a place where it could leak
    SecretPlace = 309,
    /// A filter, test or function that templates do not have
    UnknownFilter = 310,
    /// `item` or `index` outside a fan-out
    NoItem = 311,
    /// A template that failed while it was rendered
    TemplateFailed = 312,
    /// A template in a place that takes none
    NoTemplateHere = 313,
    /// A name that is not to be had in this place
    NotHere = 314,
    /// A filter or an operator on a value that it cannot take
    CannotTake = 315,
    /// A comparison that always gives the same
    NeverEqual = 316,
    /// A value that is null, or may be, where null fails
    PerhapsNull = 317,
    /// A `foreach` over something that is no list and no map
    NotEach = 318,

    /// Steps that wait for each other
    Cycle = 401,
    /// A path that leaves its root, or that no file can have
    PathEscapes = 402,
    /// Two values would be saved on one path
    PathCollision = 403,
    /// More steps than a workflow may have
    TooManySteps = 404,
    /// A request to a URL that it cannot go to
    RequestUrl = 405,
    /// A budget that the steps surely pass
    BudgetTooSmall = 406,
    /// A workflow that a step cannot run
    NestedWorkflow = 407,
    /// A schedule that cannot be read, or never comes
    BadSchedule = 408,
    /// A fan-out with more items than a step may have
    TooManyItems = 409,
    /// An expectation that cannot be checked
    BadExpectation = 410,
    /// A key that says nothing where it stands
    NoEffect = 411,
    /// A `when` that is always true, or always false
    ConstantWhen = 412,
    /// An input, a var or a secret that nothing reads
    Unused = 413,
    /// A step whose result nothing uses
    UnusedStep = 414,

    /// A required input was not given
    InputMissing = 501,
    /// An input that the workflow does not have
    InputUnknown = 502,
    /// An input's value does not fit its declaration
    InputInvalid = 503,
    /// A file of inputs that cannot be read
    InputFile = 504,
    /// A secret that is not in the environment
    SecretMissing = 505,
    /// A local file that is not there, or is not what is wanted
    LocalFile = 506,
    /// A local file that no way leads from to the API
    NoWayForFiles = 507,

    /// No provider is configured that has the verb
    NoProvider = 601,
    /// Several providers have the verb
    SeveralProviders = 602,
    /// A provider that is not configured
    UnknownProvider = 603,
    /// A provider that does not have the verb
    ProviderVerb = 604,
    /// An account with fewer credits than the plan needs
    FewCredits = 605,

    /// A fault script that cannot be read
    FaultScript = 701,
    /// A lock file that cannot be read
    LockFile = 702,
    /// The project file is no map
    NoProject = 703,
    /// A key that is written into the project file
    KeyInTheOpen = 704,
    /// An env file that cannot be read
    EnvFile = 705,
    /// A contract of the project file that is no JSON Schema
    BadContract = 706,
    /// A target that the lock file does not have
    NotLocked = 707,
}

impl Code {
    /// Says whether the mistake is one in a project file: its examples are such files.
    #[must_use]
    pub fn is_of_project(self) -> bool {
        matches!(self, Self::NoProject | Self::KeyInTheOpen | Self::BadContract)
    }

    /// Returns the code's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DW{}", self.number())
    }
}

impl FromStr for Code {
    type Err = crate::id::IdError;

    /// Reads `DW101`, `dw101` or `101`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("DW").or_else(|| text.strip_prefix("dw")).unwrap_or(text);
        let number = digits.parse::<u16>().ok();
        Self::ALL
            .iter()
            .find(|code| Some(code.number()) == number)
            .copied()
            .ok_or_else(|| crate::id::IdError { found: text.to_owned(), expected: "a code such as DW101" })
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_and_have_titles() {
        for code in Code::ALL {
            assert_eq!(code.to_string().parse(), Ok(*code));
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}");
        }
        assert!("DW999".parse::<Code>().is_err());
    }
}
