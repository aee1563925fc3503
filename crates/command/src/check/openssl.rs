//! Which OpenSSL Droplet uses. Only the OpenSSL that made an `SSL_CTX` can use it, so it must be the library's.

use super::{Report, Subject};
use crate::elf::Object;

/// A function that Droplet calls to make a context of TLS.
const MAKES_CONTEXT: &str = "SSL_CTX_new";

/// Says which OpenSSL each Droplet uses, and whether the library uses it too.
pub fn compare(subject: &Subject, droplets: &[&Object], library: &Object, report: &mut Report) {
    let ours = needed(library).unwrap_or("no libssl");
    let mut used = Vec::new();
    for droplet in droplets {
        let found = needed(droplet).or_else(|| of_process(subject, droplet));
        match found {
            Some(theirs) if theirs == ours => report.say("OpenSSL", format!("{theirs}, as the library")),
            Some(theirs) => report.object(format!(
                "{} uses {theirs}, and the library {ours}: contexts with use_https are refused. Build the library \
                 with the OpenSSL that Droplet uses",
                droplet.path.display()
            )),
            None if droplet.exports(MAKES_CONTEXT) => report.object(format!(
                "{} contains an OpenSSL of its own, and the library uses {ours}: contexts with use_https are refused",
                droplet.path.display()
            )),
            None => report.say("OpenSSL", "cannot be told before it runs: no libssl is named"),
        }
        used.extend(found);
    }
    let others = subject.objects.iter().filter(|object| is_libssl(&object.name()));
    for other in others.filter(|object| !used.is_empty() && !used.contains(&object.name().as_str())) {
        let (name, path) = (other.name(), other.path.display());
        report.say(
            "OpenSSL",
            format!("{name} ({path}) is loaded as well, which neither Droplet nor the library uses"),
        );
    }
}

fn is_libssl(name: &str) -> bool {
    name.starts_with("libssl.so")
}

/// Returns the name of the libssl that a file needs itself.
fn needed(object: &Object) -> Option<&str> {
    object.needed.iter().map(String::as_str).find(|name| is_libssl(name))
}

/// Returns the name of the first libssl of the process, which a file uses that needs none itself.
fn of_process<'a>(subject: &'a Subject, droplet: &Object) -> Option<&'a str> {
    let takes_one = droplet.undefined.contains(MAKES_CONTEXT);
    let sonames = subject.objects.iter().filter_map(|object| object.soname.as_deref());
    sonames.filter(|_| takes_one).find(|name| is_libssl(name))
}
