//! The declarations in a header.

use std::iter;

/// A function or a variable of the header, and the comment before it.
pub struct Declaration {
    pub name: String,
    pub comment: String,
    pub text: String,
}

impl Declaration {
    /// Returns the names of its parameters.
    pub fn parameters(&self) -> Vec<&str> {
        let list = self.text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        let list = list.map_or("", |(list, _)| list.trim());
        let last_word = |parameter: &'_ str| parameter.rfind([' ', '*']).map_or(0, |at| at + 1);
        list.split(',')
            .map(str::trim)
            .filter(|parameter| !parameter.is_empty() && *parameter != "void")
            .map(|parameter| &parameter[last_word(parameter)..])
            .collect()
    }
}

/// Returns all of them.
pub fn declarations(header: &str) -> Vec<Declaration> {
    let code: String =
        header.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    let code = without_bodies(&code);
    for part in code.split("/**").skip(1) {
        let (comment, code) = part.split_once("*/").expect("comments end");
        // The comment belongs to the first declaration after it.
        let comments = iter::once(comment).chain(iter::repeat(""));
        for (text, comment) in code.split(';').zip(comments) {
            let declarator = text.split('(').next().unwrap_or_default().trim_end();
            let name = declarator.rsplit([' ', '*', '\n']).next().unwrap_or_default();
            if name.starts_with(|c: char| c.is_alphabetic())
                && !text.contains(['{', '}', '"'])
                && !text.contains("typedef")
            {
                found.push(Declaration { name: name.into(), comment: comment.into(), text: text.into() });
            }
        }
    }
    found
}

/// Returns the header without the text between braces (fields and values), except for those of extern "C".
fn without_bodies(code: &str) -> String {
    let code = code.replace("extern \"C\" {", "");
    let mut depth = 0;
    let outside = code.chars().filter(|character| {
        depth += i32::from(*character == '{') - i32::from(*character == '}');
        depth == 0 && *character != '}'
    });
    outside.collect()
}
