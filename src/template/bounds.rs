//! How large a template may be, looked at before it is parsed.
//!
//! The engine's parser, its compiler and the dropping of its tree recurse over chains (`a.b.c…`, `not not …`, `1 + 1 + …`)
//! without a bound of their own, so the tokens are counted first: no text may overflow the stack.

use minijinja::machinery::{Token, tokenize};

use super::{LONGEST_TEMPLATE, TemplateError, TemplateErrorKind, error::fit, read::syntax};

/// The most operators, dots, brackets and filters that stand in one another, as in `a.b[c + d]`. A thousand fit on the 2 MB
/// stack of a thread in a debug build; a person writes a dozen.
const LONGEST_CHAIN: usize = 256;

/// The most brackets in one another: each costs as much stack as ten operators.
const DEEPEST_BRACKETS: usize = 32;

/// The most blocks in one another.
const DEEPEST_BLOCKS: usize = 32;

/// The most `elif` of one template: each is one level of the tree.
const MOST_ELIFS: usize = 64;

/// Refuses what could overflow a stack later.
pub(super) fn bound(text: &str, in_expression: bool) -> Result<(), TemplateError> {
    if text.len() > LONGEST_TEMPLATE {
        let message = format!("the template has {} bytes, more than {LONGEST_TEMPLATE}", text.len());
        return Err(TemplateError::new(TemplateErrorKind::TooLarge, message, 0..0)
            .help("give the long text as an input, and mention it here"));
    }
    // Links of the chain at each level of brackets; what a comma parts does not stand in one another.
    let mut links = vec![0];
    let (mut blocks, mut elifs) = (0_usize, 0);
    // Whether the next token is a block's word, and whether the block may be a `{% set %}` without an end.
    let (mut at_word, mut is_set) = (false, false);
    // What the tokenizer cannot read, the parser tells better.
    for (token, span) in tokenize(text, in_expression, syntax()).map_while(Result::ok) {
        let is_word = std::mem::take(&mut at_word);
        match token {
            Token::VariableStart | Token::VariableEnd => links = vec![0],
            Token::BlockStart => (links, at_word, is_set) = (vec![0], true, false),
            Token::Ident(name) if is_word => {
                is_set = name == "set";
                match name {
                    "for" | "if" | "with" | "filter" | "macro" | "call" | "set" => blocks += 1,
                    "elif" => elifs += 1,
                    _ if name.starts_with("end") => blocks = blocks.saturating_sub(1),
                    _ => {}
                }
            }
            Token::Assign if std::mem::take(&mut is_set) => blocks = blocks.saturating_sub(1),
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => links.push(0),
            Token::BracketClose | Token::ParenClose | Token::BraceClose if links.len() > 1 => {
                links.pop();
                *links.last_mut().expect("one level stays") += 1;
            }
            Token::Comma | Token::Colon => *links.last_mut().expect("one level stays") = 0,
            Token::Ident("and" | "or" | "not" | "is" | "in" | "if" | "else")
            | Token::Dot
            | Token::Pipe
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Tilde => *links.last_mut().expect("one level stays") += 1,
            _ => {}
        }
        let what = if links.iter().sum::<usize>() > LONGEST_CHAIN {
            format!("an expression has more than {LONGEST_CHAIN} operators in one another")
        } else if links.len() > DEEPEST_BRACKETS {
            format!("an expression has more than {DEEPEST_BRACKETS} brackets in one another")
        } else if blocks > DEEPEST_BLOCKS {
            format!("the template has more than {DEEPEST_BLOCKS} blocks in one another")
        } else if elifs > MOST_ELIFS {
            format!("the template has more than {MOST_ELIFS} `elif`")
        } else {
            continue;
        };
        let range = fit(text, span.start_offset as usize..span.end_offset as usize);
        return Err(
            TemplateError::new(TemplateErrorKind::TooLarge, what, range).help("split it: `vars` can hold its parts")
        );
    }
    Ok(())
}
