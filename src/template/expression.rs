//! The shape of a template's expressions, for those who ask what a value is before it is there.
//!
//! The engine's syntax tree stays behind the walls of this module, and most of it says nothing about types. What is left is
//! an [`Expression`]: constants, references, operators, filters and tests, each with its bytes of the text. Names that the template
//! binds itself, calls and everything else that gives anything at all are [`Kind::Unknown`].
//!
//! What must stay true: only what is surely evaluated is a part of a template, so that whoever says "this fails" is right.

use std::ops::Range;

use minijinja::{
    machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind},
    value::ValueKind,
};

use super::{Segment, constant::constant, error::fit, read::name_range, value};

/// An expression of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: Kind,
    /// Its bytes of the text.
    pub range: Range<usize>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A value as it stands.
    Constant(serde_json::Value),
    /// A reference; the one of the template's references that begins where the expression does.
    Reference,
    /// A key or an item of something that is no reference.
    Part(Box<Expression>, Segment),
    /// A list.
    List(Vec<Expression>),
    /// A map; without a key where that is computed.
    Map(Vec<(Option<String>, Expression)>),
    /// A filter.
    Filter(Box<Call>),
    /// A test, such as `is defined`.
    Test(Box<Call>),
    /// `not`
    Not(Box<Expression>),
    /// The minus before a number.
    Negative(Box<Expression>),
    /// Two values with an operator between them.
    Arithmetic(Arithmetic, Box<(Expression, Expression)>),
    /// `~`
    Joined(Box<(Expression, Expression)>),
    /// A comparison of two.
    Compare(Comparison, Box<(Expression, Expression)>),
    /// A chain of comparisons, such as `1 < n < 5`: its terms.
    Chain(Vec<Expression>),
    /// `and`
    And(Box<(Expression, Expression)>),
    /// `or`
    Or(Box<(Expression, Expression)>),
    /// `A if CONDITION else B`; without B where there is no `else`.
    If(Box<Choice>),
    /// A part of a list or a text, by its bounds.
    Slice(Box<Expression>),
    /// Anything.
    Unknown,
}

/// A filter or a test with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The bytes of its name.
    pub range: Range<usize>,
    /// What it is applied to.
    pub of: Expression,
    /// The arguments by place.
    pub arguments: Vec<Expression>,
    /// The arguments by name; nothing is known of them where a splat may hold more.
    pub named: Vec<(String, Expression)>,
    /// Whether a splat may hold more arguments.
    pub splat: bool,
}

/// `A if CONDITION else B`.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The condition.
    pub condition: Expression,
    /// What holds where it is true.
    pub yes: Expression,
    /// What holds where it is false.
    pub no: Option<Expression>,
}

/// An operator that computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    Quotient,
    /// `%`
    Remainder,
    /// `**`
    Power,
}

impl Arithmetic {
    /// Every operator.
    pub const ALL: [Self; 7] =
        [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::Quotient, Self::Remainder, Self::Power];

    /// Returns the operator as it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Quotient => "//",
            Self::Remainder => "%",
            Self::Power => "**",
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`, `<=`, `>` or `>=`
    Order,
    /// `in`
    In,
}

impl Expression {
    /// Returns a constant that is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Constant(value) => value.as_str(),
            _ => None,
        }
    }

    /// Calls `visit` with the condition of every `if` in it.
    pub fn each_condition(&self, visit: &mut dyn FnMut(&Self)) {
        self.each(&mut |part| {
            if let Kind::If(choice) = &part.kind {
                visit(&choice.condition);
            }
        });
    }

    /// Calls `visit` with the beginning of every reference in it.
    pub fn each_reference(&self, visit: &mut dyn FnMut(usize)) {
        self.each(&mut |part| {
            if part.kind == Kind::Reference {
                visit(part.range.start);
            }
        });
    }

    /// Calls `visit` with it, and with everything in it.
    fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match &self.kind {
            Kind::Reference | Kind::Constant(_) | Kind::Unknown => {}
            Kind::Part(of, _) | Kind::Not(of) | Kind::Negative(of) | Kind::Slice(of) => of.each(visit),
            Kind::List(items) | Kind::Chain(items) => items.iter().for_each(|item| item.each(visit)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| value.each(visit)),
            Kind::Filter(call) | Kind::Test(call) => {
                call.of.each(visit);
                call.arguments.iter().for_each(|value| value.each(visit));
                call.named.iter().for_each(|(_, value)| value.each(visit));
            }
            Kind::Arithmetic(_, two) | Kind::Joined(two) | Kind::Compare(_, two) | Kind::And(two) | Kind::Or(two) => {
                two.0.each(visit);
                two.1.each(visit);
            }
            Kind::If(choice) => {
                choice.condition.each(visit);
                choice.yes.each(visit);
                choice.no.iter().for_each(|value| value.each(visit));
            }
        }
    }
}

/// What reads the shape of expressions: the text, and which names stand for references.
pub(super) struct Shaper<'s> {
    pub(super) text: &'s str,
    /// Returns the bytes of the reference that an expression is, if it is one.
    pub(super) reference: &'s dyn Fn(&Expr<'_>) -> Option<Range<usize>>,
}

impl Shaper<'_> {
    /// Returns the shape of an expression.
    pub(super) fn shape(&self, expression: &Expr<'_>) -> Expression {
        let span = expression.span();
        let whole = fit(self.text, span.start_offset as usize..span.end_offset as usize);
        if let Some(range) = (self.reference)(expression) {
            return Expression { kind: Kind::Reference, range };
        }
        let constant = constant(expression);
        if let Some(constant) = constant.and_then(|constant| value::to_json(&constant, &mut value::Budget::new()).ok())
        {
            return Expression { kind: Kind::Constant(constant), range: whole };
        }
        let kind = self.kind(expression);
        // The engine's spans of operators begin anywhere, but end where they end.
        let start = match &kind {
            Kind::Filter(call) | Kind::Test(call) => call.of.range.start,
            Kind::Arithmetic(_, two) | Kind::Joined(two) | Kind::Compare(_, two) | Kind::And(two) | Kind::Or(two) => {
                two.0.range.start
            }
            Kind::Chain(terms) => terms.first().map_or(whole.start, |term| term.range.start),
            Kind::If(choice) => choice.yes.range.start,
            Kind::Part(of, _) | Kind::Slice(of) => of.range.start,
            _ => whole.start,
        };
        Expression { kind, range: start.min(whole.end)..whole.end }
    }

    fn two(&self, left: &Expr<'_>, right: &Expr<'_>) -> Box<(Expression, Expression)> {
        Box::new((self.shape(left), self.shape(right)))
    }

    fn kind(&self, expression: &Expr<'_>) -> Kind {
        match expression {
            Expr::GetAttr(get) => match &get.expr {
                Expr::Var(_) => Kind::Unknown,
                of => Kind::Part(Box::new(self.shape(of)), Segment::Key(get.name.to_owned())),
            },
            Expr::GetItem(get) => {
                let segment = match constant(&get.subscript_expr) {
                    Some(key) if key.kind() == ValueKind::String => {
                        Segment::Key(key.as_str().unwrap_or_default().to_owned())
                    }
                    Some(key) if key.is_integer() => key.as_i64().map_or(Segment::Computed, Segment::Index),
                    _ => Segment::Computed,
                };
                match &get.expr {
                    Expr::Var(_) => Kind::Unknown,
                    of => Kind::Part(Box::new(self.shape(of)), segment),
                }
            }
            Expr::List(list) => Kind::List(list.items.iter().map(|item| self.shape(item)).collect()),
            Expr::Map(map) => Kind::Map(
                map.keys
                    .iter()
                    .zip(&map.values)
                    .map(|(key, value)| {
                        let key = match key {
                            Expr::Const(constant) => constant.value.as_str().map(ToOwned::to_owned),
                            _ => None,
                        };
                        (key, self.shape(value))
                    })
                    .collect(),
            ),
            Expr::Filter(filter) => match &filter.expr {
                Some(of) => {
                    let range = name_range(filter.span(), filter.name);
                    Kind::Filter(Box::new(self.call(filter.name, range, of, &filter.args)))
                }
                None => Kind::Unknown,
            },
            Expr::Test(test) => {
                let range = name_range(test.span(), test.name);
                Kind::Test(Box::new(self.call(test.name, range, &test.expr, &test.args)))
            }
            Expr::UnaryOp(operation) => {
                let of = Box::new(self.shape(&operation.expr));
                match operation.op {
                    UnaryOpKind::Not => Kind::Not(of),
                    UnaryOpKind::Neg => Kind::Negative(of),
                }
            }
            Expr::BinOp(operation) => {
                let two = self.two(&operation.left, &operation.right);
                match operation.op {
                    BinOpKind::Eq => Kind::Compare(Comparison::Equal, two),
                    BinOpKind::Ne => Kind::Compare(Comparison::Unequal, two),
                    BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte => {
                        Kind::Compare(Comparison::Order, two)
                    }
                    BinOpKind::In => Kind::Compare(Comparison::In, two),
                    BinOpKind::ScAnd => Kind::And(two),
                    BinOpKind::ScOr => Kind::Or(two),
                    BinOpKind::Concat => Kind::Joined(two),
                    BinOpKind::Add => Kind::Arithmetic(Arithmetic::Add, two),
                    BinOpKind::Sub => Kind::Arithmetic(Arithmetic::Subtract, two),
                    BinOpKind::Mul => Kind::Arithmetic(Arithmetic::Multiply, two),
                    BinOpKind::Div => Kind::Arithmetic(Arithmetic::Divide, two),
                    BinOpKind::FloorDiv => Kind::Arithmetic(Arithmetic::Quotient, two),
                    BinOpKind::Rem => Kind::Arithmetic(Arithmetic::Remainder, two),
                    BinOpKind::Pow => Kind::Arithmetic(Arithmetic::Power, two),
                }
            }
            Expr::Compare(compare) => {
                let terms = std::iter::once(&compare.expr).chain(compare.ops.iter().map(|operation| &operation.expr));
                let is_order =
                    |operation: CompareOpKind| !matches!(operation, CompareOpKind::In | CompareOpKind::NotIn);
                if compare.ops.iter().all(|operation| is_order(operation.op)) {
                    Kind::Chain(terms.map(|term| self.shape(term)).collect())
                } else {
                    Kind::Unknown
                }
            }
            Expr::IfExpr(branch) => Kind::If(Box::new(Choice {
                condition: self.shape(&branch.test_expr),
                yes: self.shape(&branch.true_expr),
                no: branch.false_expr.as_ref().map(|no| self.shape(no)),
            })),
            Expr::Slice(slice) => Kind::Slice(Box::new(self.shape(&slice.expr))),
            Expr::Var(_) | Expr::Const(_) | Expr::Call(_) | Expr::Tuple(_) => Kind::Unknown,
        }
    }

    fn call(&self, name: &str, range: Range<usize>, of: &Expr<'_>, arguments: &[CallArg<'_>]) -> Call {
        let mut call = Call {
            name: name.to_owned(),
            range: fit(self.text, range),
            of: self.shape(of),
            arguments: Vec::new(),
            named: Vec::new(),
            splat: false,
        };
        for argument in arguments {
            match argument {
                CallArg::Pos(value) => call.arguments.push(self.shape(value)),
                CallArg::Kwarg(name, value) => call.named.push(((*name).to_owned(), self.shape(value))),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => call.splat = true,
            }
        }
        call
    }
}
