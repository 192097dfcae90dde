//! The test programs against an agent: as they are, under valgrind, and with the address sanitizer.

use std::path::Path;
use std::process::Command;

use crate::support::Node;
use crate::toolbox::{at, c_compilers, caller, cpp_compilers, installed, program, shared_library, succeed};

/// Programs that need an agent and nothing else.
const PROGRAMS: [&str; 6] = ["calls.c", "lists.cpp", "threads.c", "fork.c", "signals.c", "descriptors.c"];

fn compilers(name: &str) -> Vec<&'static str> {
    if Path::new(name).extension().is_some_and(|extension| extension == "cpp") {
        cpp_compilers()
    } else {
        c_compilers()
    }
}

fn runs(name: &str) {
    for compiler in compilers(name) {
        let node = Node::start("");
        succeed(&mut caller(&program(compiler, name, &[]), &node.socket()));
    }
}

#[test]
fn every_call() {
    runs("calls.c");
}

/// C that is compiled as C++, as service management does.
#[test]
fn every_call_from_cpp() {
    for compiler in cpp_compilers() {
        let node = Node::start("");
        let flags = ["-x", "c++", "-std=c++20"];
        succeed(&mut caller(&program(compiler, "threads.c", &flags), &node.socket()));
    }
}

#[test]
fn vectors() {
    runs("lists.cpp");
}

#[test]
fn sixty_four_threads() {
    runs("threads.c");
}

#[test]
fn forks() {
    runs("fork.c");
}

#[test]
fn a_storm_of_signals() {
    runs("signals.c");
}

#[test]
fn descriptors() {
    runs("descriptors.c");
}

#[test]
fn loading_and_unloading() {
    let node = Node::start("");
    let reload = program("gcc", "reload.c", &[]);
    let mut command = caller(&reload, &node.socket());
    print!("{}", succeed(command.arg(shared_library()).arg("200")));
}

#[test]
fn ending_while_threads_are_calling() {
    let node = Node::start("");
    let leave = program("gcc", "leave.c", &[]);
    for _ in 0..30 {
        succeed(&mut caller(&leave, &node.socket()));
    }
}

#[test]
fn clean_under_valgrind() {
    assert!(installed("valgrind"), "valgrind is needed: install it");
    for name in PROGRAMS {
        // Valgrind keeps descriptors of its own beyond the limit that the program sets.
        if name == "descriptors.c" {
            continue;
        }
        let node = Node::start("");
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=9", "--child-silent-after-fork=yes"]);
        // A child of a process with threads loses what those had in hand, which is no leak of anybody.
        if name != "fork.c" {
            command.args(["--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]);
        }
        command.arg(program(compilers(name)[0], name, &[]));
        succeed(&mut at(command, &node.socket()));
    }
}

#[test]
fn clean_with_the_address_sanitizer() {
    for name in PROGRAMS {
        let node = Node::start("");
        let sanitized = program(compilers(name)[0], name, &["-fsanitize=address", "-fno-omit-frame-pointer"]);
        let mut command = caller(&sanitized, &node.socket());
        succeed(command.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1"));
    }
}
