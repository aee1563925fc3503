//! Which files contain Droplet, and whether its calls can be led to the library.

use crate::elf::{Kind, Object};

/// Functions of the connection subsystem that Droplet's other units call in every program.
const CALLED: [&str; 4] =
    ["dpl_conn_pool_init", "dpl_try_connect", "dpl_conn_writev_all", "dpl_conn_release"];

/// The files that have to do with Droplet.
pub struct Droplets<'a> {
    /// droplet-conn itself, if its functions come first.
    pub ours: Option<&'a Object>,
    /// Those that contain Droplet's own connections.
    pub theirs: Vec<&'a Object>,
    /// Those that call Droplet and do not contain it.
    pub users: Vec<&'a Object>,
}

impl<'a> Droplets<'a> {
    /// Finds them among files that are in the order in which names are looked up.
    pub fn among(objects: &'a [Object]) -> Droplets<'a> {
        let theirs: Vec<_> =
            objects.iter().filter(|object| !is_ours(object) && object.may_contain_droplet()).collect();
        let calls = |object: &&Object| object.undefined.iter().any(|name| name.starts_with("dpl_"));
        let others = objects.iter().filter(|object| !is_ours(object) && !object.may_contain_droplet());
        let users = others.filter(calls).collect();
        let first = objects.iter().find(|object| is_ours(object) || object.exports("dpl_try_connect"));
        Droplets { ours: first.filter(|object| is_ours(object)), theirs, users }
    }

    /// Returns where a Droplet is.
    pub fn place_of(&self, droplet: &Object) -> String {
        let path = droplet.path.display();
        let user = self.users.iter().find(|user| user.needed.contains(&droplet.name()));
        match user {
            _ if droplet.kind != Kind::Library => format!("{path} itself contains it, linked statically"),
            Some(user) => format!("{path}, which {} needs", user.path.display()),
            None => path.to_string(),
        }
    }
}

/// Returns whether a file is, or contains, droplet-conn.
pub fn is_ours(object: &Object) -> bool {
    object.exports("dplx_version") || object.hidden.contains("dplx_version")
}

/// Returns whether it is the library that takes Droplet's place.
pub fn is_standalone(ours: &Object) -> bool {
    ours.exports("dpl_ctx_new") && ours.kind == Kind::Library
}

/// Returns how Droplet's calls of its connections are bound, or why they cannot be led elsewhere.
pub fn bound(droplet: &Object) -> Result<String, String> {
    const RELINK: &str = "relink it with droplet-conn before Droplet";
    if droplet.kind != Kind::Library {
        return Err(format!(
            "the program contains Droplet, and a program's own functions come first: {RELINK}"
        ));
    }
    if !droplet.exports("dpl_try_connect") {
        return Err(format!("it contains Droplet and hides its functions: {RELINK}"));
    }
    if droplet.is_symbolic {
        return Err(format!("it was linked with -Bsymbolic: {RELINK}"));
    }
    let fixed: Vec<_> = CALLED
        .into_iter()
        .filter(|name| droplet.exports(name) && !droplet.bound_by_loader.contains(*name))
        .collect();
    if fixed.is_empty() {
        return Ok("by the loader: the first definition counts, and a preloaded one is the first".to_owned());
    }
    let is_protected = fixed.iter().any(|name| droplet.defined.get(*name) == Some(&true));
    let how = if is_protected { "protected visibility" } else { "-Bsymbolic-functions, or LTO" };
    Err(format!("its calls of {} were bound when it was linked ({how}): {RELINK}", fixed.join(", ")))
}
